/* A snapshot read back: is it what was published? And what does a parent hold? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "image/publish.h"
#include "toolkit/lib/progress.h"

struct comparing {
	const char *snapshot;
	const struct blocks *now; /* NULL: digests are only collected */
	const struct ebs_list *list;
	const size_t *chosen;		/* places in list; NULL: all */
	uint8_t (*digests)[SHA256_LEN]; /* of each place of list, or NULL */
	pthread_mutex_t lock;
	struct progress progress;
};

static int get_block(void *arg, struct aws *aws, void *buf, size_t n, struct err *err)
{
	struct comparing *comparing = arg;
	size_t place = comparing->chosen ? comparing->chosen[n] : n;
	const struct ebs_listed *block = &comparing->list->at[place];
	const uint8_t *expected;
	uint8_t digest[SHA256_LEN];

	if (ebs_get(aws, comparing->snapshot, block, buf, digest, err) < 0)
		return -1;
	if (comparing->digests)
		memcpy(comparing->digests[place], digest, sizeof(digest));
	if (comparing->now) {
		expected = blocks_find(comparing->now, block->index);
		if (!expected)
			expected = blocks_zero_digest();
		if (memcmp(digest, expected, sizeof(digest)) != 0)
			return err_set(err, ERR_NO, "block %u is not the image's",
				       block->index);
	}
	pthread_mutex_lock(&comparing->lock);
	progress_add(&comparing->progress, BLOCKS_BYTES);
	pthread_mutex_unlock(&comparing->lock);
	return 0;
}

static int get_all(const struct publish_request *request, struct comparing *comparing,
		   size_t count, const char *what, struct err *err)
{
	struct pool_job job = { .aws = request->aws,
				.connections = request->connections,
				.count = count,
				.buf_bytes = BLOCKS_BYTES,
				.work = get_block,
				.arg = comparing,
				.interrupted = request->interrupted };
	struct pool_result result;
	int rc;

	progress_start(&comparing->progress, what, (uint64_t)count * BLOCKS_BYTES);
	rc = pool_run(&job, &result, err);
	progress_end(&comparing->progress);
	return rc;
}

/* Every block that is not zero must be listed. */
static int check_present(const struct blocks *now, const struct ebs_list *list,
			 struct err *err)
{
	size_t j = 0;

	for (size_t i = 0; i < now->count; i++) {
		while (j < list->count && list->at[j].index < now->at[i].index)
			j++;
		if (j == list->count || list->at[j].index != now->at[i].index)
			return err_set(err, ERR_NO, "block %u is missing",
				       now->at[i].index);
	}
	return 0;
}

/* A random choice of n places, by the first steps of a shuffle. */
static size_t *choose(size_t count, size_t n, struct err *err)
{
	size_t *places = calloc(count + 1, sizeof(*places));

	if (!places) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		places[i] = i;
	for (size_t i = 0; i < n && i < count; i++) {
		uint64_t random = 0;
		size_t other, keep = places[i];

		if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
			free(places);
			err_set(err, ERR_FAILED, "no random numbers");
			return NULL;
		}
		other = i + (size_t)(random % (count - i));
		places[i] = places[other];
		places[other] = keep;
	}
	return places;
}

int publish_read_back(const struct publish_request *request,
		      const struct publish_plan *plan, const char *snapshot,
		      uint64_t *compared, struct err *err)
{
	struct ebs_list list = { 0 };
	struct comparing comparing = { .snapshot = snapshot,
				       .now = &plan->now,
				       .list = &list,
				       .lock = PTHREAD_MUTEX_INITIALIZER };
	struct aws *aws = aws_new(&request->aws, err);
	size_t *chosen = NULL, count;
	int rc = -1;

	if (!aws || ebs_list(aws, snapshot, &list, err) < 0 ||
	    check_present(&plan->now, &list, err) < 0)
		goto out;
	count = list.count;
	if (request->verify == VERIFY_SAMPLE && request->sample < count) {
		count = request->sample;
		chosen = choose(list.count, count, err);
		if (!chosen)
			goto out;
		comparing.chosen = chosen;
	}
	if (get_all(request, &comparing, count, "reading back", err) < 0)
		goto out;
	*compared = count;
	rc = 0;
out:
	free(chosen);
	ebs_list_free(&list);
	aws_free(aws);
	return rc < 0 ? err_prefix(err, "reading back") : 0;
}

int publish_read_parent(const struct publish_request *request, const char *snapshot,
			struct blocks *blocks, struct err *err)
{
	struct ebs_list list = { 0 };
	struct comparing comparing = { .snapshot = snapshot,
				       .list = &list,
				       .lock = PTHREAD_MUTEX_INITIALIZER };
	struct aws *aws = aws_new(&request->aws, err);
	int rc = -1;

	if (!aws || ebs_list(aws, snapshot, &list, err) < 0)
		goto out;
	comparing.digests = calloc(list.count + 1, sizeof(*comparing.digests));
	if (!comparing.digests) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	if (get_all(request, &comparing, list.count, "reading the parent", err) < 0)
		goto out;
	for (size_t i = 0; i < list.count; i++)
		if (blocks_add(blocks, list.at[i].index, comparing.digests[i], err) < 0)
			goto out;
	blocks->gib = list.gib;
	strcpy(blocks->snapshot, snapshot);
	rc = 0;
out:
	free(comparing.digests);
	ebs_list_free(&list);
	aws_free(aws);
	return rc < 0 ? err_prefix(err, "the parent %s", snapshot) : 0;
}
