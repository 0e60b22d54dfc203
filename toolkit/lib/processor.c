#include "toolkit/lib/processor.h"

#include <stddef.h>

void processor_stay(struct processors *before)
{
	int here = sched_getcpu();
	cpu_set_t one;

	before->known = here >= 0 && here < CPU_SETSIZE &&
			sched_getaffinity(0, sizeof(before->set), &before->set) == 0;
	if (!before->known)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)here, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void processor_spread(const struct processors *before)
{
	if (before && before->known)
		sched_setaffinity(0, sizeof(before->set), &before->set);
}
