/* Sets of sockets by their inodes. */
#include <stdlib.h>

#include "toolkit/triage/network.h"

/* What is beyond is not compared, which is said. */
#define INODES_MAX ((size_t)1 << 21)

void inodes_keep(struct inodes *set, uint64_t inode)
{
	if (set->count == set->room) {
		size_t more = set->room ? set->room * 2 : 256;
		uint64_t *larger = more > INODES_MAX
					   ? NULL
					   : realloc(set->items, more * sizeof(*larger));

		if (!larger) {
			set->failed = true;
			return;
		}
		set->items = larger;
		set->room = more;
	}
	set->items[set->count++] = inode & ~INODE_SEEN;
}

static int by_number(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

	return (one > two) - (one < two);
}

void inodes_sort(struct inodes *set)
{
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), by_number);
}

uint64_t *inodes_find(const struct inodes *set, uint64_t inode)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t here = set->items[middle] & ~INODE_SEEN;

		if (here == inode)
			return &set->items[middle];
		if (here < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
