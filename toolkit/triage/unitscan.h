/* What the reading of units shares: see units.c. */
#ifndef FVOL_TRIAGE_UNITSCAN_H
#define FVOL_TRIAGE_UNITSCAN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "toolkit/triage/triage.h"
#include "toolkit/triage/unitplaces.h"

#define UNIT_DIRECTORIES_MAX 1024
#define UNIT_FILE_BYTES (256 * 1024)

struct unit_scan {
	struct triage *t;
	struct err *err;
	char *buf;	/* a file */
	char **enabled; /* names of units that a .wants or .requires has; sorted */
	size_t enabled_count, enabled_room;
	struct {
		dev_t dev;
		ino_t ino;
	} seen[UNIT_DIRECTORIES_MAX]; /* /lib may be /usr/lib */
	size_t seen_count;
	size_t emitted;
};

/* Is it below /lib, and /lib but a link to /usr/lib? */
bool unit_place_is_merged(const struct triage *t, const struct unit_place *place);

/* Fills scan->enabled. What cannot be listed is said by unit_visit_directory() later. */
void unit_enabled_read(struct unit_scan *scan);
void unit_enabled_free(struct unit_scan *scan);

/* Emits one file, or what of a directory is of place's kind; dirpath is what the records
 * call dirfd. 0, or -1 with err. */
int unit_visit_file(struct unit_scan *scan, int dirfd, const char *dirpath,
		    const char *name, const struct unit_place *place);
int unit_visit_directory(struct unit_scan *scan, int dirfd, const char *dirpath,
			 const char *name, const struct unit_place *place);

#endif
