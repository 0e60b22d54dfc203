/* In place of triage's outputs: the records of a test as text, one a line. */
#ifndef FVOL_TESTS_TRIAGELINES_H
#define FVOL_TESTS_TRIAGELINES_H

#include <stdbool.h>
#include <stddef.h>

/* Everything since the last clearing; ended by a NUL. */
extern char triage_lines[];
void triage_lines_clear(void);
/* Is there a line that holds every one of these texts? The last is NULL. */
bool triage_line_with(const char *text, ...);
/* How many lines hold it? */
size_t triage_lines_count(const char *text);

#endif
