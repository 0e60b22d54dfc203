/* Where a Linux system keeps what starts programs by itself. */
#ifndef FVOL_TRIAGE_UNITPLACES_H
#define FVOL_TRIAGE_UNITPLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/triage/unittext.h"

struct unit_place {
	const char *path, *kind;
	enum unit_form form;
	bool directory;	   /* its files; path is one file otherwise */
	bool distribution; /* thousands may be there: of units the programs only */
};

/* Below /. */
extern const struct unit_place unit_places[];
extern const size_t unit_place_count;
/* Below each home. */
extern const struct unit_place unit_home_places[];
extern const size_t unit_home_place_count;

#endif
