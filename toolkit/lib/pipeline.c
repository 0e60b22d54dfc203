#include "toolkit/lib/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/reader.h"
#include "toolkit/lib/ring.h"

/* Deep enough for SHA-256 and the packers; every touched page is one of the evidence. */
#define STACK_BYTES (64 * 1024)
/*
 * So much may be lost when the power goes: what was written in the last seconds. More
 * often would cost memory, for each commit of a journal takes two pages of it.
 */
#define SYNC_FIRST_BYTES (64u << 20)
#define SYNC_NS (10 * INT64_C(1000000000))

struct worker {
	struct engine *engine;
	pthread_t thread;
	unsigned char *scratch;
};

/* All of a run that is not the caller's. One at a time in a process. */
struct engine {
	struct pipeline *p;
	struct ring ring;
	struct worker workers[PIPELINE_WORKERS_MAX];
	unsigned started;
	pthread_t reader;
	bool has_reader;
	struct sha256 whole;	/* of the LiME stream, chunk after chunk */
	struct chunk *unhashed; /* that the writer is to hash while it puts it */
	uint64_t header_off;	/* where the header of the range being written stands */
	int64_t synced_ns;	/* CLOCK_MONOTONIC; 0: not yet */
	struct encoder_state
		encoder; /* large, and of no use to lime: never cleared here */
};

static struct engine engine;

/*
 * Only the log tells the hash of a chunk. It is a worker's, who packs the chunk as well;
 * without packing it is made with the hash of the whole, where both cost little more than
 * one.
 */
static bool hashes_apart(const struct pipeline *p)
{
	return p->hash && p->log &&
	       (p->layout == LAYOUT_ENCODER || !sha256_two_are_cheap());
}

/* Each hash keeps one thread busy; packing takes all there are. */
static unsigned worker_count(const struct pipeline *p)
{
	if (p->layout == LAYOUT_ENCODER)
		return p->workers;
	return p->hash + hashes_apart(p);
}

static bool writer_works(const struct pipeline *p)
{
	return p->layout == LAYOUT_ENCODER && p->writer_works;
}

/* Where the chunk will stand in the file decides how it is aligned in memory. */
static void place(const struct pipeline *p, struct chunk *chunk, uint64_t stream_off)
{
	uint64_t off = p->layout == LAYOUT_RAW ? chunk->phys : stream_off;

	chunk->data = chunk->buf + IO_BLOCK + off % IO_BLOCK;
}

static bool read_chunk(struct engine *e, const struct range *range, uint64_t phys,
		       uint64_t stream_off)
{
	struct pipeline *p = e->p;
	struct chunk *chunk = ring_free(&e->ring);
	uint64_t left = range->end - phys + 1;

	if (!chunk)
		return false;
	if (*p->interrupted) {
		struct err err;

		err_set(&err, ERR_FAILED, "interrupted at 0x%llx",
			(unsigned long long)phys);
		ring_fail(&e->ring, &err);
		return false;
	}
	chunk->range = range;
	chunk->first = phys == range->start;
	chunk->phys = phys;
	chunk->len_bytes = left < p->chunk_bytes ? (size_t)left : p->chunk_bytes;
	place(p, chunk, stream_off);
	chunk->time_ns = clock_ns(CLOCK_REALTIME);
	reader_fill(p->source, p->second, phys, chunk->data, chunk->len_bytes, &p->gaps);
	ring_filled(&e->ring, chunk);
	return true;
}

static void *reader_main(void *arg)
{
	struct engine *e = arg;
	const struct ranges *ranges = e->p->ranges;
	uint64_t stream_off = 0;
	bool going = true;

	processor_spread(e->p->spread);
	for (size_t i = 0; going && i < ranges->count; i++) {
		const struct range *range = &ranges->at[i];
		uint64_t left = range_bytes(range), phys = range->start;

		stream_off += LIME_HEADER_BYTES;
		while (going && left) {
			uint64_t len =
				left < e->p->chunk_bytes ? left : e->p->chunk_bytes;

			going = read_chunk(e, range, phys, stream_off);
			phys += len;
			stream_off += len;
			left -= len;
		}
	}
	ring_read_all(&e->ring);
	return NULL;
}

static bool all_zero(const unsigned char *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static void work(struct engine *e, struct chunk *chunk, void *scratch)
{
	const struct pipeline *p = e->p;

	if (hashes_apart(p))
		sha256(chunk->data, chunk->len_bytes, chunk->sha256);
	chunk->packed_len = 0;
	if (p->layout == LAYOUT_ENCODER) {
		chunk->zero = all_zero(chunk->data, chunk->len_bytes);
		if (!chunk->zero)
			chunk->packed_len = p->encoder->pack(
				chunk->data, chunk->len_bytes, chunk->packed, scratch);
	}
	ring_did(&e->ring, chunk, RING_WORK);
}

/* The hash of the whole takes one chunk after the other; the header of a range first. */
static void hash_header(struct engine *e, const struct chunk *chunk)
{
	unsigned char header[LIME_HEADER_BYTES];

	if (!chunk->first)
		return;
	lime_header(chunk->range, header);
	sha256_update(&e->whole, header, sizeof(header));
}

static void hash(struct engine *e, struct chunk *chunk)
{
	struct sha256 own;

	hash_header(e, chunk);
	if (!e->p->log || hashes_apart(e->p)) {
		sha256_update(&e->whole, chunk->data, chunk->len_bytes);
	} else {
		sha256_init(&own);
		sha256_update_two(&e->whole, chunk->data, chunk->len_bytes, &own,
				  chunk->data, chunk->len_bytes);
		sha256_final(&own, chunk->sha256);
	}
	ring_did(&e->ring, chunk, RING_HASH);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct engine *e = worker->engine;
	struct chunk *chunk;
	unsigned todo;

	processor_spread(e->p->spread);
	while ((chunk = ring_work(&e->ring, &todo))) {
		if (todo == RING_HASH)
			hash(e, chunk);
		else
			work(e, chunk, worker->scratch);
	}
	return NULL;
}

static int put_range(struct engine *e, const struct range *range, struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];

	switch (e->p->layout) {
	case LAYOUT_LIME:
		e->header_off = sink_position(e->p->sink);
		lime_header(range, header);
		return sink_put(e->p->sink, header, sizeof(header), err);
	case LAYOUT_RAW:
		return sink_skip(e->p->sink, range->start - sink_position(e->p->sink),
				 err);
	default:
		return e->p->encoder->range(&e->encoder, range, err);
	}
}

static int encode_chunk(struct engine *e, struct chunk *chunk, struct err *err)
{
	return e->p->encoder->chunk(&e->encoder, chunk->phys, chunk->data,
				    chunk->len_bytes,
				    chunk->packed_len ? chunk->packed : NULL,
				    chunk->packed_len, chunk->zero, err);
}

/* todo: RING_HASH when the chunk is still to be hashed, else 0. */
static int put_chunk(struct engine *e, struct chunk *chunk, unsigned todo,
		     struct err *err)
{
	if (todo && chunk->packed_len)
		e->unhashed = chunk;
	else if (todo)
		hash(e, chunk);
	if (chunk->first && put_range(e, chunk->range, err) < 0)
		return -1;
	if (e->p->layout != LAYOUT_ENCODER)
		return sink_put_in_place(e->p->sink, chunk->data, chunk->len_bytes, err);
	if (encode_chunk(e, chunk, err) < 0)
		return -1;
	if (e->unhashed)
		hash(e, chunk);
	e->unhashed = NULL;
	return 0;
}

/*
 * The log: physical range, time in nanoseconds since 1970, SHA-256. Its line goes out
 * after its chunk, both are O_DIRECT, and the file system commits their lengths in that
 * order: so after a power cut the log tells of nothing that the image has not.
 */
static int log_chunk(struct engine *e, const struct chunk *chunk, struct err *err)
{
	char hex[SHA256_HEX_SIZE] = "-";
	char line[PIPELINE_LOG_LINE];
	int len;

	if (!e->p->log)
		return 0;
	if (e->p->hash)
		sha256_to_hex(chunk->sha256, hex);
	len = snprintf(line, sizeof(line), "%llx %llx %lld %s\n",
		       (unsigned long long)chunk->phys,
		       (unsigned long long)(chunk->phys + chunk->len_bytes - 1),
		       (long long)chunk->time_ns, hex);
	return sink_put(e->p->log, line, (size_t)len, err);
}

static int sync_sometimes(struct engine *e, struct err *err)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	if (e->synced_ns ? now - e->synced_ns < SYNC_NS
			 : e->p->captured_bytes < SYNC_FIRST_BYTES)
		return 0;
	e->synced_ns = now;
	return sink_sync(e->p->sink, err);
}

static int write_all(struct engine *e, struct err *err)
{
	struct pipeline *p = e->p;
	struct chunk *chunk;
	unsigned todo;

	while ((chunk = ring_done(&e->ring, p->chunks, &todo))) {
		if (todo & RING_WORK) {
			work(e, chunk, e->workers[p->workers - 1].scratch);
			continue;
		}
		if (put_chunk(e, chunk, todo, err) < 0 || log_chunk(e, chunk, err) < 0)
			return -1;
		p->chunks++;
		p->captured_bytes += chunk->len_bytes;
		if (p->layout == LAYOUT_ENCODER)
			p->progress->packed_bytes = sink_position(p->sink);
		progress_add(p->progress, chunk->len_bytes);
		ring_written(&e->ring, chunk);
		if (sync_sometimes(e, err) < 0)
			return -1;
	}
	return 0;
}

/* Makes what was written of a LiME image a whole, shorter one. */
static int cut_lime(struct engine *e, struct err *err)
{
	struct sink *sink = e->p->sink;
	uint64_t end = sink_position(sink);
	struct range range = { 0, 0 };
	unsigned char header[LIME_HEADER_BYTES];

	for (size_t i = 0, off = 0; i < e->p->ranges->count && !range.end; i++) {
		if (off == e->header_off)
			range = e->p->ranges->at[i];
		off += LIME_HEADER_BYTES + range_bytes(&e->p->ranges->at[i]);
	}
	if (end <= e->header_off + LIME_HEADER_BYTES || !range.end)
		return sink_truncate(sink, e->header_off, err);
	range.end = range.start + (end - e->header_off - LIME_HEADER_BYTES) - 1;
	lime_header(&range, header);
	if (sink_patch(sink, e->header_off, header, sizeof(header), err) < 0)
		return -1;
	return sink_truncate(sink, end, err);
}

/* After a failure: best effort, the first error stays the one that is reported. */
static void cut(struct engine *e)
{
	uint64_t end = sink_position(e->p->sink);
	struct err ignored;

	/* Readers do not return from a file that ends inside a block. */
	if (e->p->layout == LAYOUT_ENCODER && e->p->encoder == &encoder_avml)
		end = encoder_avml_complete_bytes(&e->encoder);
	if (e->p->layout == LAYOUT_LIME)
		e->p->truncated = cut_lime(e, &ignored) == 0;
	else
		e->p->truncated = sink_truncate(e->p->sink, end, &ignored) == 0;
}

/* The hash of the file takes what was packed while that of the whole takes its memory. */
static int encoder_put(void *arg, const void *data, size_t len_bytes, struct err *err)
{
	struct engine *e = arg;
	struct chunk *chunk = e->unhashed;
	struct sink *sink = e->p->sink;

	if (!chunk || data != chunk->packed || !sink->hashing)
		return sink_put(sink, data, len_bytes, err);
	hash_header(e, chunk);
	sha256_update_two(&sink->hash, data, len_bytes, &e->whole, chunk->data,
			  chunk->len_bytes);
	/* Before it is written: another one may be hashed meanwhile. */
	e->unhashed = NULL;
	ring_did(&e->ring, chunk, RING_HASH);
	return sink_put_hashed(sink, data, len_bytes, err);
}

static int encoder_patch(void *arg, uint64_t off, const void *data, size_t len_bytes,
			 struct err *err)
{
	struct engine *e = arg;

	return sink_patch(e->p->sink, off, data, len_bytes, err);
}

static void encoder_mark(void *arg)
{
	struct engine *e = arg;

	sink_mark(e->p->sink);
}

static size_t round_up(size_t len, size_t to)
{
	return (len + to - 1) / to * to;
}

/* Bytes of the arena that one slot takes for chunks of this size. */
static size_t slot_bytes(const struct pipeline *p, size_t chunk_bytes)
{
	size_t bytes = 2 * IO_BLOCK + chunk_bytes;

	if (p->layout == LAYOUT_ENCODER)
		bytes += round_up(p->encoder->packed_bound(chunk_bytes), 64);
	return round_up(bytes, IO_BLOCK);
}

static size_t scratch_bytes(const struct pipeline *p)
{
	return p->layout == LAYOUT_ENCODER
		       ? round_up(p->encoder->scratch_bytes(p->chunk_bytes), IO_BLOCK)
		       : 0;
}

/*
 * A slot for each stage that works: with fewer of them the chunks are larger. Where
 * chunks cannot be larger, more slots keep the stages from waiting for one another.
 */
static size_t slot_count(const struct pipeline *p)
{
	size_t n = p->arena_bytes / slot_bytes(p, IO_CHUNK_BYTES);

	if (!p->hash && !worker_count(p))
		return 2;
	return n < PIPELINE_SLOTS   ? PIPELINE_SLOTS
	       : n > RING_SLOTS_MAX ? RING_SLOTS_MAX
				    : n;
}

/* The largest chunk, in blocks, of which all slots fit into the arena. */
static size_t chunk_for(const struct pipeline *p)
{
	size_t chunk = p->arena_bytes / slot_count(p) / IO_BLOCK * IO_BLOCK;

	if (chunk > IO_CHUNK_BYTES)
		chunk = IO_CHUNK_BYTES;
	while (chunk > IO_BLOCK && slot_count(p) * slot_bytes(p, chunk) > p->arena_bytes)
		chunk -= IO_BLOCK;
	return chunk;
}

size_t pipeline_arena_for(uint64_t memory_bytes)
{
	uint64_t bytes = memory_bytes / PIPELINE_ARENA_SHARE;

	/* A whole step of 256 KiB, so that chunks are a power of two of pages. */
	if (bytes < 2 * PIPELINE_ARENA_LEAST)
		return PIPELINE_ARENA_LEAST;
	if (bytes < PIPELINE_ARENA_MOST)
		return 2 * PIPELINE_ARENA_LEAST;
	return PIPELINE_ARENA_MOST;
}

int pipeline_arena_take(struct pipeline *p, struct err *err)
{
	if (p->arena_bytes < PIPELINE_ARENA_MIN)
		return err_set(err, ERR_USAGE, "the arena must be at least %d bytes",
			       PIPELINE_ARENA_MIN);
	p->chunk_bytes = chunk_for(p);
	p->map_bytes = slot_count(p) * slot_bytes(p, p->chunk_bytes) +
		       worker_count(p) * scratch_bytes(p);
	p->map = mmap(NULL, p->map_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->map == MAP_FAILED) {
		p->map = NULL;
		return err_sys(err, errno, "taking an arena of %zu bytes", p->map_bytes);
	}
	/* A source's child process must not make copies of what we write. */
	madvise(p->map, p->map_bytes, MADV_DONTFORK);
	return 0;
}

void pipeline_arena_release(struct pipeline *p)
{
	if (p->map)
		munmap(p->map, p->map_bytes);
	p->map = NULL;
}

void pipeline_arena_shrink(struct pipeline *p)
{
	unsigned char *rest;

	if (!p->map || p->map_bytes <= PIPELINE_ARENA_MIN)
		return;
	rest = p->map + PIPELINE_ARENA_MIN;
	/*
	 * Unlocked by itself: the kernel keeps the last pages that it unlocks on a list
	 * that it clears when it is next called to unmap something. The processor that
	 * frees pages is the first to take them again.
	 */
	munlock(rest, p->map_bytes - PIPELINE_ARENA_MIN);
	if (munmap(rest, p->map_bytes - PIPELINE_ARENA_MIN) == 0)
		p->map_bytes = PIPELINE_ARENA_MIN;
}

uint64_t pipeline_log_bytes(const struct pipeline *p)
{
	uint64_t chunks = ranges_bytes(p->ranges) / p->chunk_bytes + p->ranges->count;

	return chunks * PIPELINE_LOG_LINE;
}

/* Cuts the arena into slots and the workers' scratch. */
static void lay_out(struct engine *e)
{
	struct pipeline *p = e->p;
	unsigned char *at = p->map;

	e->ring.slots = slot_count(p);
	e->ring.todo = (p->layout == LAYOUT_ENCODER || hashes_apart(p) ? RING_WORK : 0u) |
		       (p->hash ? RING_HASH : 0u);
	sha256_init(&e->whole);
	e->ring.writer_works = writer_works(p);
	for (size_t i = 0; i < e->ring.slots; i++, at += slot_bytes(p, p->chunk_bytes)) {
		e->ring.slot[i] = (struct chunk){ .buf = at };
		e->ring.slot[i].packed = at + 2 * IO_BLOCK + p->chunk_bytes;
	}
	for (unsigned i = 0; i < worker_count(p); i++, at += scratch_bytes(p))
		e->workers[i] = (struct worker){ .engine = e, .scratch = at };
}

static int start_threads(struct engine *e, struct err *err)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&e->reader, &attr, reader_main, e);
	e->has_reader = rc == 0;
	while (rc == 0 && e->started + writer_works(e->p) < worker_count(e->p)) {
		struct worker *worker = &e->workers[e->started];

		rc = pthread_create(&worker->thread, &attr, worker_main, worker);
		if (rc == 0)
			e->started++;
	}
	pthread_attr_destroy(&attr);
	return rc ? err_sys(err, rc, "starting a thread") : 0;
}

static void join_threads(struct engine *e)
{
	if (e->has_reader)
		pthread_join(e->reader, NULL);
	for (unsigned i = 0; i < e->started; i++)
		pthread_join(e->workers[i].thread, NULL);
}

static int run(struct engine *e, struct err *err)
{
	struct pipeline *p = e->p;
	struct encoder_out out = {
		.put = encoder_put,
		.patch = sink_can_patch(p->sink) ? encoder_patch : NULL,
		.mark = encoder_mark,
		.arg = e,
	};

	if (p->layout == LAYOUT_ENCODER &&
	    p->encoder->begin(&e->encoder, p->ranges, &out, err) < 0)
		return -1;
	if (start_threads(e, err) < 0 || write_all(e, err) < 0) {
		ring_fail(&e->ring, err);
		return -1;
	}
	/* write_all() ends early, without an error of its own, when another stage failed.
	 */
	if (e->ring.stop) {
		*err = e->ring.err;
		return -1;
	}
	if (p->layout == LAYOUT_ENCODER && p->encoder->end(&e->encoder, err) < 0)
		return -1;
	return 0;
}

int pipeline_run(struct pipeline *pipeline, struct err *err)
{
	struct engine *e = &engine;
	int rc;

	memset(e, 0, offsetof(struct engine, encoder));
	e->p = pipeline;
	ring_start(&e->ring);
	/* Not the list, which is 128 KiB of pages. */
	pipeline->gaps.count = 0;
	pipeline->gaps.bytes = pipeline->gaps.unlisted = pipeline->gaps.second_bytes = 0;
	pipeline->chunks = 0;
	pipeline->captured_bytes = 0;
	pipeline->truncated = false;
	/* Best effort: a host that forbids locking is captured all the same. */
	mlock(pipeline->map, pipeline->map_bytes);
	lay_out(e);
	rc = run(e, err);
	join_threads(e);
	if (pipeline->hash)
		sha256_final(&e->whole, pipeline->stream_sha256);
	pipeline->did_not_fit = rc < 0 && pipeline->encoder == &encoder_avml &&
				encoder_avml_did_not_fit(&e->encoder, NULL);
	if (rc < 0)
		cut(e);
	return rc;
}
