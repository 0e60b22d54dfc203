/* Files that can be looked up by their name, but that the directory does not list, and
 * directories that count more subdirectories than they list. */
#ifndef FVOL_TRIAGE_HIDDENFILES_H
#define FVOL_TRIAGE_HIDDENFILES_H

#include <sys/stat.h>

#include "toolkit/triage/triage.h"

struct hidden_files;

struct hidden_files *hidden_files_new(struct err *err);
/* One that is to be found in its directory: path below t->rootfd, and what statx(2) told
 * of it; path is borrowed. */
void hidden_files_add(struct hidden_files *files, const char *path,
		      const struct statx *st);
/* Looks and emits the findings. 0, or -1 with err. */
int hidden_files_look(struct triage *t, struct hidden_files *files, struct err *err);
void hidden_files_free(struct hidden_files *files);

#endif
