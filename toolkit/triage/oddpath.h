/* Paths that programs of a system do not have, and the programs that the kernel runs. */
#ifndef FVOL_TRIAGE_ODDPATH_H
#define FVOL_TRIAGE_ODDPATH_H

#include <stdbool.h>

#include "toolkit/triage/triage.h"

/* Does the first path of the text lie where everybody may write (/tmp, /var/tmp,
 * /dev/shm, /run/user, /run/shm), or go through a hidden directory? */
bool odd_place(const char *path);
/* The first of these: where everybody may write. */
bool odd_temporary(const char *path);
/* Is the program behind the | of core_pattern, or of /proc/sys/kernel/modprobe, another
 * than the distributions'? Then how odd it is. */
bool odd_core_program(const char *command, enum triage_severity *severity);
bool odd_modprobe(const char *path, enum triage_severity *severity);
/* Adds what formats binfmt_misc, a directory that is open for reading, knows. */
void odd_binfmt_list(int dirfd, struct json *doc, struct json_node *array);

#endif
