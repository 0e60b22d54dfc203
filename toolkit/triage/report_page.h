/*
 * The report's own script, style and body: report*.js, report.css and report.html of this
 * directory, as the linker found them.
 */
#ifndef FVOL_TRIAGE_REPORT_PAGE_H
#define FVOL_TRIAGE_REPORT_PAGE_H

#include <stddef.h>

struct report_part {
	const char *start;
	size_t len;
};

struct report_part report_script(void);
struct report_part report_style(void);
struct report_part report_body(void);

#endif
