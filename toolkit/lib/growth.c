#include "toolkit/lib/growth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

/*
 * 8 MiB of blocks of 4 KiB. A last group needs up to 1 block for a superblock copy, 128
 * for the descriptors, and the bitmaps and inode table of one group.
 */
#define TAIL_MIN_BLOCKS 2048

/* Large inode tables take 1.6 % of a group; descriptors and their copies, a few blocks.
 */
#define MARGIN_DIVISOR 32
#define MARGIN_GROUPS 4

uint64_t growth_want(const struct growth *growth, uint64_t free_blocks, uint64_t need)
{
	uint64_t missing = need - free_blocks;

	if (need <= free_blocks)
		return growth->now;
	missing += missing / MARGIN_DIVISOR + (uint64_t)MARGIN_GROUPS * growth->group;
	return growth->now > UINT64_MAX - missing ? UINT64_MAX : growth->now + missing;
}

uint64_t growth_target(const struct growth *growth)
{
	uint64_t tail = growth->disk % growth->group;
	uint64_t target = growth->disk, over;

	if (tail && tail < TAIL_MIN_BLOCKS)
		target -= tail;
	if (growth->want && growth->want < target) {
		over = growth->want % growth->group;
		/* Whole groups, where the disk has them. */
		if (over && growth->want > growth->now)
			over = growth->group - over;
		else
			over = 0;
		if (over < target - growth->want)
			target = growth->want + over;
	}
	return target > growth->now ? target : growth->now;
}

/* No smaller step would be granted either. */
static bool is_final(int errnum)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
	case EROFS:
	case EBUSY:
	case EIO:
	case ENODEV:
	case ENXIO:
	case ENOTTY:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

/* The next smaller size above now that ends with a group, or 0 when there is none. */
static uint64_t smaller(const struct growth *growth, uint64_t goal)
{
	uint64_t whole = goal - goal % growth->group;

	if (whole == goal) {
		whole = growth->now + (goal - growth->now) / 2;
		whole -= whole % growth->group;
	}
	return whole > growth->now ? whole : 0;
}

static int give_up(const struct growth *growth, uint64_t goal, int errnum,
		   struct err *err)
{
	/* Only the last group is missing: as large as it gets. */
	if (!is_final(errnum) && growth->now >= goal - goal % growth->group)
		return 0;
	err_sys(err, errnum, "growing from %" PRIu64 " to %" PRIu64 " blocks",
		growth->now, goal);
	if (errnum == EROFS)
		err->kind = ERR_REFUSED;
	return -1;
}

int growth_run(struct growth *growth, const struct growth_kernel *kernel, struct err *err)
{
	uint64_t target = growth_target(growth), goal = target;

	while (growth->now < target) {
		uint64_t before = growth->now, step = goal - before;
		int refused = kernel->resize(kernel->arg, goal);
		int errnum = kernel->look(kernel->arg, &growth->now);

		if (errnum)
			return err_sys(err, errnum, "reading the superblock");
		if (growth->now < before)
			return err_set(err, ERR_FAILED, "the file system has shrunk");
		/* Granted, but nothing came of it: as good as refused. */
		if (!refused && growth->now == before)
			refused = EINVAL;
		if (!refused) {
			goal = step < target - growth->now ? growth->now + step : target;
			continue;
		}
		/* A large step may have failed half-way; the rest is then measured. */
		if (growth->now >= goal)
			goal = target;
		else if (!is_final(refused) && smaller(growth, goal))
			goal = smaller(growth, goal);
		else
			return give_up(growth, target, refused, err);
	}
	return 0;
}
