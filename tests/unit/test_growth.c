/* Growing, against kernels that refuse in all the ways kernels do. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/check.h"
#include "toolkit/lib/growth.h"

#define GROUP 32768

struct fake {
	uint64_t now;
	uint64_t limit;	     /* more is refused */
	uint64_t step;	     /* a larger step is refused; 0: any is granted */
	uint64_t creep;	     /* a refused step still grows by so much */
	uint64_t round;	     /* what is granted is rounded down to a multiple */
	uint64_t largest;    /* what was asked for */
	int errnum, looking; /* what refusing and looking say */
	unsigned calls;
};

static int fake_resize(void *arg, uint64_t blocks)
{
	struct fake *fake = arg;

	fake->calls++;
	CHECK(blocks > fake->now);
	if (blocks > fake->largest)
		fake->largest = blocks;
	if (blocks > fake->limit || (fake->step && blocks - fake->now > fake->step)) {
		if (fake->now + fake->creep <= fake->limit)
			fake->now += fake->creep;
		return fake->errnum;
	}
	if (fake->round)
		blocks -= blocks % fake->round;
	if (blocks > fake->now)
		fake->now = blocks;
	return 0;
}

static int fake_look(void *arg, uint64_t *blocks)
{
	const struct fake *fake = arg;

	*blocks = fake->now;
	return fake->looking;
}

static int run(struct fake *fake, uint64_t disk, struct err *err)
{
	struct growth growth = {
		.block_bytes = 4096, .group = GROUP, .now = fake->now, .disk = disk
	};
	int rc = growth_run(&growth,
			    &(struct growth_kernel){ .arg = fake,
						     .resize = fake_resize,
						     .look = fake_look },
			    err);

	if (!fake->looking)
		CHECK(growth.now == fake->now);
	return rc;
}

static void leaves_a_small_last_group_out(void)
{
	struct growth growth = { .group = GROUP, .now = GROUP, .disk = 10 * GROUP };

	CHECK(growth_target(&growth) == 10 * GROUP);
	growth.disk = 10 * GROUP + 1;
	CHECK(growth_target(&growth) == 10 * GROUP);
	growth.disk = 10 * GROUP + 2047;
	CHECK(growth_target(&growth) == 10 * GROUP);
	growth.disk = 10 * GROUP + 2048;
	CHECK(growth_target(&growth) == 10 * GROUP + 2048);
	growth.now = 20 * GROUP;
	CHECK(growth_target(&growth) == 20 * GROUP);
	growth.disk = 0;
	CHECK(growth_target(&growth) == 20 * GROUP);
}

static void wants_no_more_than_is_needed(void)
{
	struct growth growth = { .group = GROUP, .now = 8 * GROUP, .disk = 8192 * GROUP };

	CHECK(growth_want(&growth, 1000, 1000) == 8 * GROUP);
	CHECK(growth_want(&growth, 1000, 0) == 8 * GROUP);
	CHECK(growth_want(&growth, 1000, 1001) == 12 * GROUP + 1);
	CHECK(growth_want(&growth, 0, 3200) == 12 * GROUP + 3300);
	CHECK(growth_want(&growth, 0, UINT64_MAX / 2) > 8192 * GROUP);
	growth.want = 8 * GROUP;
	CHECK(growth_target(&growth) == 8 * GROUP);
	growth.want = 12 * GROUP + 1;
	CHECK(growth_target(&growth) == 13 * GROUP);
	growth.want = 12 * GROUP;
	CHECK(growth_target(&growth) == 12 * GROUP);
	growth.disk = 12 * GROUP + 5000;
	growth.want = 12 * GROUP + 1;
	CHECK(growth_target(&growth) == 12 * GROUP + 5000);
	growth.want = UINT64_MAX;
	CHECK(growth_target(&growth) == 12 * GROUP + 5000);
	/* A last group that is not whole stays as it is when there is room. */
	growth.now = growth.want = 8 * GROUP + 9;
	CHECK(growth_target(&growth) == 8 * GROUP + 9);
}

static void grows_in_one_step_and_never_shrinks(void)
{
	struct fake fake = { .now = GROUP, .limit = UINT64_MAX };
	struct err err = { 0 };

	CHECK(run(&fake, 8192 * GROUP, &err) == 0);
	CHECK(fake.now == 8192 * GROUP && fake.calls == 1);
	/* Nothing to do, nothing asked, and never smaller. */
	CHECK(run(&fake, 8192 * GROUP, &err) == 0 && fake.calls == 1);
	CHECK(run(&fake, 8192 * GROUP + 5, &err) == 0 && fake.calls == 1);
	CHECK(run(&fake, GROUP, &err) == 0 && fake.calls == 1);
	CHECK(fake.now == 8192 * GROUP);
}

/* The last group is refused: as large as it gets, and no failure. */
static void a_refused_last_group_is_no_failure(void)
{
	struct fake fake = { .now = GROUP, .limit = 10 * GROUP, .errnum = ENOSPC };
	struct err err = { 0 };

	CHECK(run(&fake, 10 * GROUP + 5000, &err) == 0);
	CHECK(fake.now == 10 * GROUP);
	CHECK(fake.largest == 10 * GROUP + 5000);
	fake.calls = 0;
	CHECK(run(&fake, 10 * GROUP + 5000, &err) == 0 && fake.calls == 1);
	/* A kernel that says yes and leaves the last group out. */
	fake = (struct fake){ .now = GROUP, .limit = UINT64_MAX, .round = GROUP };
	CHECK(run(&fake, 10 * GROUP + 5000, &err) == 0);
	CHECK(fake.now == 10 * GROUP);
}

static void smaller_steps_where_large_ones_are_refused(void)
{
	struct fake fake = { .now = GROUP + 7,
			     .limit = UINT64_MAX,
			     .step = 100 * GROUP,
			     .errnum = ENOSPC };
	struct err err = { 0 };

	CHECK(run(&fake, 8192 * GROUP + 9000, &err) == 0);
	CHECK(fake.now == 8192 * GROUP + 9000 && fake.calls < 200);
	fake = (struct fake){
		.now = GROUP, .limit = UINT64_MAX, .step = GROUP, .errnum = ENOMEM
	};
	CHECK(run(&fake, 500 * GROUP, &err) == 0);
	CHECK(fake.now == 500 * GROUP && fake.calls < 600);
	/* Grows a little each time it fails. */
	fake = (struct fake){ .now = GROUP,
			      .limit = UINT64_MAX,
			      .step = 16 * GROUP,
			      .creep = 16 * GROUP,
			      .errnum = ENOSPC };
	CHECK(run(&fake, 8192 * GROUP, &err) == 0);
	CHECK(fake.now == 8192 * GROUP);
}

/* Up to the limit, and then a failure that says how far it went. */
static void goes_to_the_limit(void)
{
	struct fake fake = { .now = GROUP, .limit = 1234 * GROUP, .errnum = EINVAL };
	struct err err = { 0 };

	CHECK(run(&fake, 8192 * GROUP, &err) == -1);
	CHECK(fake.now == 1234 * GROUP && fake.calls < 64);
	CHECK(err.kind == ERR_FAILED);
	CHECK(strstr(err.text, "growing from 40435712 to 268435456 blocks: Invalid"));
	fake = (struct fake){ .now = GROUP, .limit = GROUP, .errnum = EINVAL };
	CHECK(run(&fake, UINT64_MAX / 4096, &err) == -1);
	CHECK(fake.now == GROUP && fake.calls < 64);
}

static void what_is_final_is_not_tried_again(void)
{
	static const struct {
		int errnum;
		enum err_kind kind;
	} cases[] = {
		{ EPERM, ERR_REFUSED }, { EACCES, ERR_REFUSED }, { EROFS, ERR_REFUSED },
		{ EIO, ERR_FAILED },	{ EBUSY, ERR_FAILED },	 { ENODEV, ERR_FAILED },
		{ ENOTTY, ERR_FAILED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake fake = { .now = GROUP,
				     .limit = 0,
				     .errnum = cases[i].errnum };
		struct err err = { 0 };

		CHECK(run(&fake, 100 * GROUP + 3000, &err) == -1);
		CHECK(fake.calls == 1 && err.kind == cases[i].kind);
	}
}

static void a_disk_that_is_gone_ends_it(void)
{
	struct fake fake = { .now = GROUP, .limit = UINT64_MAX, .looking = EIO };
	struct err err = { 0 };

	CHECK(run(&fake, 100 * GROUP, &err) == -1);
	CHECK(fake.calls == 1 && err.kind == ERR_FAILED);
	CHECK(strstr(err.text, "reading the superblock"));
}

int main(void)
{
	RUN(leaves_a_small_last_group_out);
	RUN(wants_no_more_than_is_needed);
	RUN(grows_in_one_step_and_never_shrinks);
	RUN(a_refused_last_group_is_no_failure);
	RUN(smaller_steps_where_large_ones_are_refused);
	RUN(goes_to_the_limit);
	RUN(what_is_final_is_not_tried_again);
	RUN(a_disk_that_is_gone_ends_it);
	return DONE();
}
