#include "toolkit/lib/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/transfer_parts.h"

#define MIB (1ULL << 20)
#define PART_BYTES (8 * MIB)
/* Of a stream that nobody knows the length of: 160 GiB fit. */
#define PART_BYTES_UNKNOWN (16 * MIB)
/* Signing and the handshake need more than the 128 KiB that musl gives a thread. */
#define STACK_BYTES (512 * 1024)

uint64_t transfer_part_bytes(uint64_t size_bytes)
{
	uint64_t least;

	if (size_bytes == TRANSFER_UNKNOWN)
		return PART_BYTES_UNKNOWN;
	least = size_bytes / S3_PARTS_MAX + 1;
	least = (least + MIB - 1) / MIB * MIB;
	return least > PART_BYTES ? least : PART_BYTES;
}

static int check_config(struct transfer_config *config, struct err *err)
{
	uint32_t most = config->urls ? config->urls->n_parts : S3_PARTS_MAX;

	if (!config->part_bytes)
		config->part_bytes = transfer_part_bytes(config->size_bytes);
	if (!config->parallel)
		config->parallel = TRANSFER_PARALLEL;
	if (config->parallel > TRANSFER_PARALLEL_MAX)
		return err_set(err, ERR_USAGE, "more than %d parts at a time",
			       TRANSFER_PARALLEL_MAX);
	if (config->part_bytes < S3_PART_MIN_BYTES ||
	    config->part_bytes > S3_PART_MAX_BYTES || config->part_bytes % IO_BLOCK)
		return err_set(err, ERR_USAGE,
			       "a part has 5 MiB to 5 GiB, in blocks of %d bytes",
			       IO_BLOCK);
	if (config->size_bytes == TRANSFER_UNKNOWN)
		return 0;
	if (config->size_bytes > S3_OBJECT_MAX_BYTES)
		return err_set(err, ERR_USAGE, "an object of S3 has at most 5 TiB");
	if (config->size_bytes / config->part_bytes + 1 > most &&
	    config->size_bytes > most * config->part_bytes)
		return err_set(err, ERR_USAGE,
			       "%llu bytes need more than %u parts of %llu bytes",
			       (unsigned long long)config->size_bytes, most,
			       (unsigned long long)config->part_bytes);
	return 0;
}

static int make_arena(struct transfer *transfer, struct err *err)
{
	size_t part = (size_t)transfer->config.part_bytes;

	/* At most 64 x 5 GiB: no overflow in 64 bits. */
	transfer->arena_bytes = part * transfer->config.parallel;
	transfer->arena = mmap(NULL, transfer->arena_bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (transfer->arena == MAP_FAILED) {
		transfer->arena = NULL;
		return err_sys(err, errno, "reserving memory for %u parts",
			       transfer->config.parallel);
	}
	for (unsigned i = 0; i < transfer->config.parallel; i++)
		transfer->slots[i].data = transfer->arena + i * part;
	return 0;
}

static int open_log(struct transfer *transfer, struct err *err)
{
	struct transfer_config *config = &transfer->config;

	if (!config->journal)
		return s3_new_id(transfer->id, err);
	if (transfer_log_open(&transfer->log, config->journal, config->s3->bucket,
			      config->key, transfer->known, err) < 0)
		return -1;
	if (!transfer->log.begun)
		return s3_new_id(transfer->id, err);
	/* Parts must be cut where they were. */
	config->part_bytes = transfer->log.part_bytes;
	return 0;
}

struct transfer *transfer_open(const struct transfer_config *config, struct err *err)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	if (!transfer) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	transfer->config = *config;
	transfer->log.journal.fd = -1;
	transfer->next_number = 1;
	pthread_mutex_init(&transfer->lock, NULL);
	pthread_cond_init(&transfer->changed, NULL);
	sha256_init(&transfer->hash);
	transfer->parts = calloc(S3_PARTS_MAX, sizeof(*transfer->parts));
	transfer->known = calloc(S3_PARTS_MAX, sizeof(*transfer->known));
	if (!transfer->parts || !transfer->known) {
		err_set(err, ERR_FAILED, "out of memory");
		goto fail;
	}
	if (open_log(transfer, err) < 0 || check_config(&transfer->config, err) < 0 ||
	    make_arena(transfer, err) < 0)
		goto fail;
	transfer->s3 = s3_new(config->s3, err);
	if (!transfer->s3 || transfer_resume(transfer, err) < 0)
		goto fail;
	return transfer;
fail:
	transfer_close(transfer);
	return NULL;
}

/* Under the lock: the stream's thread or a sender gives up for all. */
static void fail(struct transfer *transfer, const struct err *err)
{
	if (!transfer->failed)
		transfer->err = *err;
	transfer->failed = true;
	pthread_cond_broadcast(&transfer->changed);
}

static int send_presigned(struct transfer *transfer, struct s3 *s3, const void *data,
			  struct s3_part *part, struct err *err)
{
	const struct transfer_urls *urls = transfer->config.urls;
	char url[S3_URL_SIZE];
	int rc = urls->url(urls->arg, part->number, url, err);

	if (rc == 0)
		rc = s3_send(s3, url, data, (size_t)part->len_bytes, NULL, 0, NULL,
			     part->etag, err);
	sigv4_wipe(url, sizeof(url));
	return rc < 0 ? err_prefix(err, "part %u", part->number) : 0;
}

/* Sends what is in a slot, unless the server has the very same already. */
static int send_slot(struct transfer *transfer, struct s3 *s3, struct transfer_slot *slot,
		     struct s3_part *part, bool *kept, struct err *err)
{
	const struct s3_part *known = &transfer->known[slot->number - 1];

	*part = (struct s3_part){ .number = slot->number,
				  .len_bytes = slot->fill_bytes,
				  .hashed = true };
	sha256_final(&slot->hash, part->sha256);
	/* Of a finished upload only the hash of the whole is asked. */
	*kept = transfer->log.done;
	if (*kept)
		return 0;
	*kept = known->number && known->hashed && known->len_bytes == part->len_bytes &&
		memcmp(known->sha256, part->sha256, SHA256_LEN) == 0;
	if (*kept) {
		*part = *known;
		return 0;
	}
	if (transfer->config.urls)
		return send_presigned(transfer, s3, slot->data, part, err);
	return s3_put_part(s3, transfer->config.key, transfer->upload_id, slot->data,
			   part, err);
}

/* Under the lock: the ready slot with the lowest number, or NULL. */
static struct transfer_slot *next_ready(struct transfer *transfer)
{
	struct transfer_slot *found = NULL;

	for (unsigned i = 0; i < transfer->config.parallel; i++) {
		struct transfer_slot *slot = &transfer->slots[i];

		if (slot->state == SLOT_READY && (!found || slot->number < found->number))
			found = slot;
	}
	return found;
}

/* Under the lock: takes in what became of a slot. */
static void settle(struct transfer *transfer, struct transfer_slot *slot,
		   const struct s3_part *part, bool kept, int rc, struct err *err)
{
	if (rc == 0 && !kept)
		rc = transfer_log_part(&transfer->log, part, err);
	if (rc == 0) {
		transfer->parts[part->number - 1] = *part;
		transfer->sent_bytes += part->len_bytes;
		transfer->n_kept += kept;
	} else {
		fail(transfer, err);
	}
	slot->state = SLOT_FREE;
	pthread_cond_broadcast(&transfer->changed);
}

static void *sender(void *arg)
{
	struct transfer *transfer = arg;
	struct err err = { 0 };
	uint64_t before;
	struct s3 *s3;

	pthread_mutex_lock(&transfer->lock);
	s3 = transfer->clients[transfer->n_prepared++];
	for (;;) {
		struct transfer_slot *slot = next_ready(transfer);
		struct s3_part part;
		bool kept;
		int rc;

		if (transfer->stop || transfer->failed)
			break;
		if (!slot) {
			pthread_cond_wait(&transfer->changed, &transfer->lock);
			continue;
		}
		slot->state = SLOT_SENDING;
		pthread_mutex_unlock(&transfer->lock);
		before = s3_retries(s3);
		rc = send_slot(transfer, s3, slot, &part, &kept, &err);
		pthread_mutex_lock(&transfer->lock);
		transfer->failures += s3_retries(s3) - before;
		settle(transfer, slot, &part, kept, rc, &err);
	}
	pthread_mutex_unlock(&transfer->lock);
	return NULL;
}

static int start_threads(struct transfer *transfer, struct err *err)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (unsigned i = 0; rc == 0 && i < transfer->config.parallel; i++) {
		transfer->clients[i] = s3_new(transfer->config.s3, err);
		if (!transfer->clients[i])
			rc = -1;
		else if ((rc = pthread_create(&transfer->threads[i], &attr, sender,
					      transfer)))
			rc = err_sys(err, rc, "starting a thread");
		else
			transfer->n_threads++;
	}
	pthread_attr_destroy(&attr);
	return rc;
}

/* The stream turned out to have more than one part. */
static int begin_upload(struct transfer *transfer, struct err *err)
{
	const struct transfer_config *config = &transfer->config;

	if (!config->urls && !transfer->upload_id[0] && !transfer->log.done) {
		if (transfer_vacant(transfer, err) < 0 ||
		    s3_create(transfer->s3, config->key, transfer->id, config->sha256,
			      true, transfer->upload_id, err) < 0 ||
		    transfer_log_begin(&transfer->log, config->s3->bucket, config->key,
				       transfer->id, transfer->upload_id,
				       config->part_bytes, err) < 0)
			return -1;
	}
	transfer->uploading = true;
	return start_threads(transfer, err);
}

/* Hands the current slot to the senders. */
static int dispatch(struct transfer *transfer, struct err *err)
{
	if (!transfer->uploading && begin_upload(transfer, err) < 0)
		return -1;
	pthread_mutex_lock(&transfer->lock);
	transfer->current->state = SLOT_READY;
	transfer->current = NULL;
	pthread_cond_broadcast(&transfer->changed);
	pthread_mutex_unlock(&transfer->lock);
	return 0;
}

/* Under the lock: waits for a change, telling the progress about once a second. */
static void wait_changed(struct transfer *transfer)
{
	struct timespec until;
	uint64_t sent, failures;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_cond_timedwait(&transfer->changed, &transfer->lock, &until);
	if (!transfer->config.progress)
		return;
	sent = transfer->sent_bytes;
	failures = transfer->failures;
	pthread_mutex_unlock(&transfer->lock);
	transfer->config.progress(transfer->config.progress_arg, sent, failures);
	pthread_mutex_lock(&transfer->lock);
}

/* Waits for a free slot and makes it the current one. */
static int take_slot(struct transfer *transfer, struct err *err)
{
	uint32_t most =
		transfer->config.urls ? transfer->config.urls->n_parts : S3_PARTS_MAX;
	struct transfer_slot *found = NULL;

	if (transfer->next_number > most)
		return err_set(
			err, ERR_FAILED,
			"more than %u parts of %llu bytes: say the size that is to "
			"be expected",
			most, (unsigned long long)transfer->config.part_bytes);
	pthread_mutex_lock(&transfer->lock);
	while (!transfer->failed && !found) {
		for (unsigned i = 0; !found && i < transfer->config.parallel; i++)
			if (transfer->slots[i].state == SLOT_FREE)
				found = &transfer->slots[i];
		if (!found)
			wait_changed(transfer);
	}
	if (transfer->failed)
		*err = transfer->err;
	else
		*found = (struct transfer_slot){ .state = SLOT_FILLING,
						 .data = found->data,
						 .number = transfer->next_number++ };
	pthread_mutex_unlock(&transfer->lock);
	transfer->current = found;
	if (found)
		sha256_init(&found->hash);
	return found ? 0 : -1;
}

void *transfer_room(struct transfer *transfer, size_t *room_bytes, struct err *err)
{
	size_t part = (size_t)transfer->config.part_bytes;

	if (transfer->current && transfer->current->fill_bytes == part &&
	    dispatch(transfer, err) < 0)
		return NULL;
	if (!transfer->current && take_slot(transfer, err) < 0)
		return NULL;
	*room_bytes = part - transfer->current->fill_bytes;
	return transfer->current->data + transfer->current->fill_bytes;
}

int transfer_filled(struct transfer *transfer, size_t len_bytes, struct err *err)
{
	struct transfer_slot *slot = transfer->current;

	/* A part begins at a whole block of both hashes, which makes two as cheap as one.
	 */
	sha256_update_two(&transfer->hash, slot->data + slot->fill_bytes, len_bytes,
			  &slot->hash, slot->data + slot->fill_bytes, len_bytes);
	slot->fill_bytes += len_bytes;
	transfer->len_bytes += len_bytes;
	if (transfer->config.size_exact &&
	    transfer->len_bytes > transfer->config.size_bytes)
		return err_set(err, ERR_FAILED, "the input grew while it was read");
	return 0;
}

int transfer_write(struct transfer *transfer, const void *data, size_t len_bytes,
		   struct err *err)
{
	const unsigned char *from = data;

	while (len_bytes) {
		size_t n;
		void *to = transfer_room(transfer, &n, err);

		if (!to)
			return -1;
		if (n > len_bytes)
			n = len_bytes;
		memcpy(to, from, n);
		if (transfer_filled(transfer, n, err) < 0)
			return -1;
		from += n;
		len_bytes -= n;
	}
	return 0;
}

/* Under no lock: waits until nothing is under way. */
static int drain(struct transfer *transfer, struct err *err)
{
	bool busy = true;
	int rc = 0;

	pthread_mutex_lock(&transfer->lock);
	while (busy && !transfer->failed) {
		busy = false;
		for (unsigned i = 0; i < transfer->config.parallel; i++)
			busy |= transfer->slots[i].state == SLOT_READY ||
				transfer->slots[i].state == SLOT_SENDING;
		if (busy)
			wait_changed(transfer);
	}
	if (transfer->failed) {
		*err = transfer->err;
		rc = -1;
	}
	pthread_mutex_unlock(&transfer->lock);
	return rc;
}

static void stop_threads(struct transfer *transfer)
{
	pthread_mutex_lock(&transfer->lock);
	transfer->stop = true;
	pthread_cond_broadcast(&transfer->changed);
	pthread_mutex_unlock(&transfer->lock);
	for (unsigned i = 0; i < transfer->n_threads; i++)
		pthread_join(transfer->threads[i], NULL);
	transfer->n_threads = 0;
}

int transfer_finish(struct transfer *transfer, struct transfer_result *result,
		    struct err *err)
{
	size_t room;

	if (transfer->config.size_exact &&
	    transfer->len_bytes != transfer->config.size_bytes)
		return err_set(err, ERR_FAILED,
			       "the input ended after %llu of %llu bytes",
			       (unsigned long long)transfer->len_bytes,
			       (unsigned long long)transfer->config.size_bytes);
	/* Of nothing at all, too, an object is made. */
	if (!transfer->current && !transfer_room(transfer, &room, err))
		return -1;
	/* Room was asked for behind the last byte: that makes no part. */
	if (transfer->uploading && !transfer->current->fill_bytes) {
		pthread_mutex_lock(&transfer->lock);
		transfer->current->state = SLOT_FREE;
		pthread_mutex_unlock(&transfer->lock);
		transfer->current = NULL;
		transfer->next_number--;
	}
	if (transfer->current &&
	    (transfer->uploading || transfer->config.urls || transfer->log.begun) &&
	    dispatch(transfer, err) < 0)
		return -1;
	if (drain(transfer, err) < 0)
		return -1;
	stop_threads(transfer);
	if (transfer_end(transfer, result, err) < 0)
		return -1;
	transfer->finished = true;
	return 0;
}

const struct s3_part *transfer_parts(const struct transfer *transfer, size_t *n_parts)
{
	*n_parts = transfer->uploading ? transfer->next_number - 1 : 0;
	return transfer->parts;
}

/* Not by a client that an interruption has silenced, and not for long. */
static void abort_upload(const struct transfer *transfer)
{
	struct s3_config config = *transfer->config.s3;
	struct err unread;
	struct s3 *s3;

	config.http.interrupted = NULL;
	config.attempts = 2;
	s3 = s3_new(&config, &unread);
	if (s3)
		s3_abort(s3, transfer->config.key, transfer->upload_id, &unread);
	s3_free(s3);
}

void transfer_close(struct transfer *transfer)
{
	if (!transfer)
		return;
	stop_threads(transfer);
	if (transfer->upload_id[0] && !transfer->finished && !transfer->config.journal)
		abort_upload(transfer);
	for (unsigned i = 0; i < TRANSFER_PARALLEL_MAX; i++)
		s3_free(transfer->clients[i]);
	s3_free(transfer->s3);
	transfer_log_close(&transfer->log);
	if (transfer->arena)
		munmap(transfer->arena, transfer->arena_bytes);
	pthread_mutex_destroy(&transfer->lock);
	pthread_cond_destroy(&transfer->changed);
	free(transfer->parts);
	free(transfer->known);
	free(transfer);
}
