/* What is to be sent, known before anything is: blocks, token, checksum. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/publish.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/progress.h"

static void told(void *arg, uint64_t bytes)
{
	progress_add(arg, bytes);
}

static int scan(const struct publish_request *request, struct publish_plan *plan,
		struct err *err)
{
	struct progress progress;
	int rc;

	plan->fd = open(request->image, O_RDONLY | O_CLOEXEC);
	if (plan->fd < 0)
		return err_sys(err, errno, "opening %s", request->image);
	progress_start(&progress, "reading", (uint64_t)lseek(plan->fd, 0, SEEK_END));
	rc = blocks_scan(plan->fd, &plan->now, told, &progress, request->interrupted,
			 err);
	progress_end(&progress);
	return rc < 0 ? err_prefix(err, "%s", request->image) : 0;
}

static int load_parent(const struct publish_request *request, struct blocks *parent,
		       struct err *err)
{
	if (!request->parent_blocks)
		return publish_read_parent(request, request->parent, parent, err);
	if (blocks_load(request->parent_blocks, parent, err) < 0)
		return -1;
	if (strcmp(parent->snapshot, request->parent) != 0)
		return err_set(err, ERR_USAGE, "%s is the list of %s, not of %s",
			       request->parent_blocks,
			       parent->snapshot[0] ? parent->snapshot : "no snapshot",
			       request->parent);
	return 0;
}

static void add_tag(struct publish_plan *plan, const char *key, const char *value)
{
	plan->tags[plan->n_tags++] = (struct tag){ key, value };
}

static void make_tags(const struct publish_request *request, struct publish_plan *plan)
{
	add_tag(plan, TAG_RELEASE, FVOL_VERSION);
	add_tag(plan, TAG_IMAGE, plan->image_hex);
	add_tag(plan, TAG_MANIFEST, plan->manifest_hex);
	if (request->parent)
		add_tag(plan, TAG_PARENT, request->parent);
	for (size_t i = 0; i < request->n_tags; i++)
		add_tag(plan, request->tags[i].key, request->tags[i].value);
}

int publish_plan_make(const struct publish_request *request, struct publish_plan *plan,
		      struct err *err)
{
	struct blocks parent = { 0 };
	int rc = -1;

	*plan = (struct publish_plan){ .fd = -1 };
	if (publish_check_image(request, plan, err) < 0 || scan(request, plan, err) < 0)
		goto out;
	plan->gib = plan->now.gib;
	if (request->parent) {
		if (load_parent(request, &parent, err) < 0)
			goto out;
		/* A child cannot be smaller than its parent. */
		if (parent.gib > plan->gib)
			plan->gib = parent.gib;
	}
	if (blocks_changes(&plan->now, request->parent ? &parent : NULL, &plan->changes,
			   err) < 0)
		goto out;
	plan->now.gib = plan->changes.gib = plan->gib;
	if (request->parent && plan->changes.count == 0) {
		err_set(err, ERR_NO,
			"%s holds what is in %s: there is nothing to publish",
			request->parent, request->image);
		goto out;
	}
	blocks_linear(&plan->changes, plan->linear);
	sha256_to_hex(plan->now.image_sha256, plan->image_hex);
	sha256_to_hex(plan->manifest_sha256, plan->manifest_hex);
	make_tags(request, plan);
	publish_token(request, plan, plan->token);
	rc = 0;
out:
	blocks_free(&parent);
	return rc;
}

void publish_plan_free(struct publish_plan *plan)
{
	io_close(&plan->fd);
	blocks_free(&plan->now);
	blocks_free(&plan->changes);
}
