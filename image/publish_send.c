#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/ec2.h"
#include "image/publish.h"
#include "image/snapshot_journal.h"
#include "toolkit/lib/progress.h"

/* Blocks on their way. */
struct sending {
	const struct publish_request *request;
	const struct publish_plan *plan;
	const char *snapshot;
	struct snapshot_journal *journal;
	size_t *todo; /* places in plan->changes */
	size_t n_todo;
	pthread_mutex_t lock; /* of journal and progress */
	struct progress progress;
};

/* The block must still be what it was when the plan was made. */
static int read_block(const struct sending *sending, const struct block *block, void *buf,
		      struct err *err)
{
	const struct publish_plan *plan = sending->plan;
	uint8_t digest[SHA256_LEN];

	if (blocks_read(plan->fd, plan->now.image_bytes, block->index, buf, err) < 0)
		return -1;
	sha256(buf, BLOCKS_BYTES, digest);
	if (memcmp(digest, block->digest, sizeof(digest)) != 0)
		return err_set(err, ERR_FAILED,
			       "%s changed while it was published (block %u)",
			       sending->request->image, block->index);
	return 0;
}

static int put_block(void *arg, struct aws *aws, void *buf, size_t n, struct err *err)
{
	struct sending *sending = arg;
	const struct block *block = &sending->plan->changes.at[sending->todo[n]];
	uint64_t before = aws_retries(aws);
	int rc;

	if (read_block(sending, block, buf, err) < 0 ||
	    ebs_put(aws, sending->snapshot, block->index, buf, block->digest, err) < 0)
		return -1;
	pthread_mutex_lock(&sending->lock);
	rc = snapshot_journal_put(sending->journal, block->index, err);
	sending->progress.failures += aws_retries(aws) - before;
	progress_add(&sending->progress, BLOCKS_BYTES);
	pthread_mutex_unlock(&sending->lock);
	return rc;
}

static int compare_block(const void *key, const void *element)
{
	uint32_t index = *(const uint32_t *)key;
	const struct block *block = element;

	return index < block->index ? -1 : index > block->index;
}

/* Which blocks the journal does not have. */
static int find_todo(struct sending *sending, const struct snapshot_progress *done,
		     struct err *err)
{
	const struct blocks *changes = &sending->plan->changes;
	bool *have = calloc(changes->count + 1, sizeof(*have));
	int rc = -1;

	sending->todo = calloc(changes->count + 1, sizeof(*sending->todo));
	if (!have || !sending->todo) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	for (size_t i = 0; i < done->n_put && changes->count; i++) {
		const struct block *block =
			bsearch(&done->put[i], changes->at, changes->count,
				sizeof(*changes->at), compare_block);

		if (!block) {
			err_set(err, ERR_FAILED,
				"the journal names block %u, which is not to be sent",
				done->put[i]);
			goto out;
		}
		have[block - changes->at] = true;
	}
	for (size_t i = 0; i < changes->count; i++)
		if (!have[i])
			sending->todo[sending->n_todo++] = i;
	rc = 0;
out:
	free(have);
	return rc;
}

static int put_all(struct sending *sending, struct publish_result *result,
		   struct err *err)
{
	struct pool_job job = { .aws = sending->request->aws,
				.connections = sending->request->connections,
				.count = sending->n_todo,
				.buf_bytes = BLOCKS_BYTES,
				.work = put_block,
				.arg = sending,
				.interrupted = sending->request->interrupted };
	int rc;

	progress_start(&sending->progress, "publish",
		       (uint64_t)sending->n_todo * BLOCKS_BYTES);
	rc = pool_run(&job, &result->sending, err);
	progress_end(&sending->progress);
	return rc;
}

/* Finds the snapshot of the journal, or starts one. */
static int begin(const struct publish_request *request, const struct publish_plan *plan,
		 struct aws *aws, struct snapshot_journal *journal,
		 const struct snapshot_progress *done, struct publish_result *result,
		 struct err *err)
{
	struct ebs_start start = { .gib = plan->gib,
				   .token = plan->token,
				   .description = request->description,
				   .kms_key = request->kms_key,
				   .parent = request->parent,
				   .tags = plan->tags,
				   .n_tags = plan->n_tags,
				   .timeout_min = request->timeout_min };
	struct ec2_snapshot known;
	struct ebs_started started;

	if (done->snapshot[0]) {
		strcpy(result->snapshot, done->snapshot);
		if (ec2_snapshot(aws, done->snapshot, &known, err) < 0)
			return err_prefix(err, "%s", request->journal);
		result->was_complete = strcmp(known.state, "completed") == 0;
		if (result->was_complete || strcmp(known.state, "pending") == 0)
			return 0;
		return err_set(
			err, ERR_FAILED,
			"the snapshot %s of the journal is in state %s%s%s: remove "
			"%s and publish with another --salt",
			known.id, known.state, known.message[0] ? ": " : "",
			known.message, request->journal);
	}
	if (ebs_start(aws, &start, &started, err) < 0)
		return -1;
	if (started.gib != plan->gib)
		return err_set(err, ERR_FAILED, "%s was started with %u GiB, not %u",
			       started.snapshot, started.gib, plan->gib);
	strcpy(result->snapshot, started.snapshot);
	result->was_complete = started.completed;
	return snapshot_journal_started(journal, started.snapshot, err);
}

/*
 * A call whose answer was lost may have sealed the snapshot, and a second one is refused
 * then, as one with a wrong checksum would be. Which it is, a block tells that is put
 * once more: a sealed snapshot takes none.
 */
static bool is_sealed(const struct sending *sending, struct aws *aws)
{
	const struct block *block = sending->plan->changes.at;
	void *buf = aligned_alloc(4096, BLOCKS_BYTES);
	struct err unread = { 0 };
	bool sealed = false;

	if (buf && sending->plan->changes.count &&
	    read_block(sending, block, buf, &unread) == 0 &&
	    ebs_put(aws, sending->snapshot, block->index, buf, block->digest, &unread) <
		    0)
		sealed = aws_status(aws) >= 400 && aws_status(aws) < 500 &&
			 unread.kind != ERR_REFUSED;
	free(buf);
	return sealed;
}

static int seal(const struct sending *sending, struct aws *aws, struct err *err)
{
	const struct publish_plan *plan = sending->plan;

	if (ebs_complete(aws, sending->snapshot, plan->changes.count, plan->linear,
			 err) == 0)
		return 0;
	if (aws_status(aws) >= 400 && aws_status(aws) < 500 && err->kind != ERR_REFUSED &&
	    is_sealed(sending, aws))
		return 0;
	return -1;
}

static int finish(const struct publish_request *request, struct publish_plan *plan,
		  struct aws *aws, struct publish_result *result, struct err *err)
{
	struct ec2_snapshot known;

	if (ec2_wait(aws, result->snapshot, request->wait_s, NULL, NULL, &known, err) < 0)
		return -1;
	result->encrypted = known.encrypted;
	strcpy(result->kms_key, known.kms_key);
	if (known.gib != plan->gib)
		return err_set(err, ERR_NO, "%s has %u GiB, not %u", known.id, known.gib,
			       plan->gib);
	/* DescribeSnapshots names the key by its ARN. */
	if (request->kms_key && strcmp(known.kms_key, request->kms_key) != 0)
		return err_set(err, ERR_NO, "%s is encrypted with %s, not with %s",
			       known.id, known.kms_key[0] ? known.kms_key : "no key",
			       request->kms_key);
	if (request->verify != VERIFY_NONE &&
	    publish_read_back(request, plan, result->snapshot, &result->read_back, err) <
		    0)
		return -1;
	strcpy(plan->now.snapshot, result->snapshot);
	return request->blocks_out ? blocks_save(&plan->now, request->blocks_out, err)
				   : 0;
}

int publish_send(const struct publish_request *request, struct publish_plan *plan,
		 struct publish_result *result, struct err *err)
{
	struct snapshot_journal journal = { .fd = -1 };
	struct snapshot_progress done = { 0 };
	struct sending sending = { .request = request,
				   .plan = plan,
				   .snapshot = result->snapshot,
				   .journal = &journal,
				   .lock = PTHREAD_MUTEX_INITIALIZER };
	struct aws *aws = NULL;
	char linear[SHA256_HEX_SIZE];
	int rc = -1;

	*result = (struct publish_result){ 0 };
	sha256_to_hex(plan->linear, linear);
	if (snapshot_journal_open(&journal, request->journal, plan->token, linear,
				  plan->changes.count, &done, err) < 0)
		goto out;
	aws = aws_new(&request->aws, err);
	if (!aws || begin(request, plan, aws, &journal, &done, result, err) < 0)
		goto out;
	if (find_todo(&sending, &done, err) < 0)
		goto out;
	result->kept = plan->changes.count - sending.n_todo;
	if (!result->was_complete) {
		if (put_all(&sending, result, err) < 0)
			goto out;
		result->put = sending.n_todo;
		if (seal(&sending, aws, err) < 0)
			goto out;
	}
	if (finish(request, plan, aws, result, err) < 0)
		goto out;
	if (unlink(request->journal) < 0) {
		err_sys(err, errno, "removing %s", request->journal);
		goto out;
	}
	rc = 0;
out:
	if (rc < 0 && result->snapshot[0])
		err_prefix(err, "%s", result->snapshot);
	aws_free(aws);
	free(sending.todo);
	snapshot_progress_free(&done);
	snapshot_journal_close(&journal);
	return rc;
}
