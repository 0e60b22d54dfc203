#include "toolkit/lib/preflight.h"

#include <stdio.h>
#include <string.h>

static const struct source_ops *const order[PREFLIGHT_SOURCES] = {
	&source_kcore,
	&source_bpf,
	&source_crash,
	&source_lime,
};

int preflight(const struct source_env *env, const struct ranges *ranges, bool every,
	      struct preflight *list)
{
	int first = -1;

	for (int i = 0; i < PREFLIGHT_SOURCES; i++) {
		struct source_verdict *verdict = &list->at[i].verdict;

		memset(verdict, 0, sizeof(*verdict));
		list->at[i].ops = order[i];
		list->at[i].asked = false;
		if (first >= 0 && !every) {
			snprintf(verdict->reason, sizeof(verdict->reason),
				 "not asked: %s is usable", order[first]->name);
			continue;
		}
		list->at[i].asked = true;
		order[i]->probe(env, ranges, verdict);
		if (verdict->usable && first < 0)
			first = i;
	}
	return first;
}

const struct source_ops *source_find(const char *name)
{
	for (size_t i = 0; i < PREFLIGHT_SOURCES; i++)
		if (strcmp(order[i]->name, name) == 0)
			return order[i];
	return NULL;
}
