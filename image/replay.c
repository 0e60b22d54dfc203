#include "image/replay.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC 0xc03b3998u
#define DESCRIPTOR 1
#define COMMIT 2
#define SUPERBLOCK_V2 4
#define REVOKE 5

/* Incompatible features; what is not here (fast commits) cannot be read. */
#define HAS_REVOKE 0x01u
#define HAS_64BIT 0x02u
#define HAS_ASYNC_COMMIT 0x04u
#define HAS_CSUM_V2 0x08u
#define HAS_CSUM_V3 0x10u
#define KNOWN (HAS_REVOKE | HAS_64BIT | HAS_ASYNC_COMMIT | HAS_CSUM_V2 | HAS_CSUM_V3)

#define TAG_ESCAPED 1
#define TAG_SAME_UUID 2
#define TAG_LAST 8

#define HEADER 12
#define REVOKES_MAX (1u << 20)

struct revoke {
	uint64_t block;
	uint32_t transaction;
};

struct reading {
	const struct replay_log *log;
	struct replay *replay;
	struct revoke *revokes;
	size_t revoke_count, revoke_room;
	size_t room;
	uint32_t first, length, features;
	uint32_t steps; /* blocks that were gone through */
	uint32_t transaction;
};

static uint32_t be32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
	       at[3];
}

/* Transactions are counted modulo 2^32. */
static bool not_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static size_t tag_size(uint32_t features)
{
	size_t size = 12;

	if (features & HAS_CSUM_V3)
		return 16;
	if (features & HAS_CSUM_V2)
		size += 2;
	return features & HAS_64BIT ? size : size - 4;
}

/* The block behind `number` in the ring; false when all have been gone through. */
static bool step(struct reading *reading, uint32_t *number)
{
	if (++reading->steps >= reading->length)
		return false;
	if (++*number >= reading->length)
		*number = reading->first;
	return true;
}

static int add_entry(struct reading *reading, const struct replay_entry *entry,
		     struct err *err)
{
	struct replay *replay = reading->replay;

	if (replay->count == reading->room) {
		size_t room = reading->room ? 2 * reading->room : 64;
		struct replay_entry *grown =
			reallocarray(replay->entries, room, sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_FAILED, "out of memory");
		replay->entries = grown;
		reading->room = room;
	}
	replay->entries[replay->count++] = *entry;
	return 0;
}

/*
 * The tags of a descriptor block, and past the blocks that they describe. Returns 1, 0
 * when the journal ends within, -1 on a failure of this machine.
 */
static int take_descriptor(struct reading *reading, const unsigned char *block,
			   uint32_t *number, struct err *err)
{
	const bool wide = reading->features & HAS_64BIT;
	const bool v3 = reading->features & HAS_CSUM_V3;
	const size_t size = tag_size(reading->features);
	size_t end = REPLAY_BLOCK;

	/* The checksum of the block. */
	if (reading->features & (HAS_CSUM_V2 | HAS_CSUM_V3))
		end -= 4;
	for (size_t at = HEADER; at + size <= end;) {
		const unsigned char *tag = block + at;
		uint32_t flags = v3 ? be32(tag + 4) : (uint32_t)tag[6] << 8 | tag[7];
		struct replay_entry entry = { .block = be32(tag),
					      .transaction = reading->transaction,
					      .escaped = flags & TAG_ESCAPED };

		if (wide)
			entry.block |= (uint64_t)be32(tag + 8) << 32;
		if (!step(reading, number))
			return 0;
		entry.number = *number;
		if (add_entry(reading, &entry, err) < 0)
			return -1;
		at += size + (flags & TAG_SAME_UUID ? 0 : 16);
		if (flags & TAG_LAST)
			break;
	}
	return 1;
}

static int take_revokes(struct reading *reading, const unsigned char *block,
			struct err *err)
{
	const size_t size = reading->features & HAS_64BIT ? 8 : 4;
	size_t end = be32(block + HEADER);

	if (end > REPLAY_BLOCK)
		end = REPLAY_BLOCK;
	for (size_t at = HEADER + 4; at + size <= end; at += size) {
		struct revoke *revoke;

		if (reading->revoke_count == REVOKES_MAX)
			return err_set(err, ERR_NO, "the journal revokes too much");
		if (reading->revoke_count == reading->revoke_room) {
			size_t room =
				reading->revoke_room ? 2 * reading->revoke_room : 64;
			struct revoke *grown =
				reallocarray(reading->revokes, room, sizeof(*grown));

			if (!grown)
				return err_set(err, ERR_FAILED, "out of memory");
			reading->revokes = grown;
			reading->revoke_room = room;
		}
		revoke = &reading->revokes[reading->revoke_count++];
		revoke->transaction = reading->transaction;
		revoke->block = be32(block + at);
		if (size == 8)
			revoke->block = revoke->block << 32 | be32(block + at + 4);
	}
	return 0;
}

/* From the first block of the first transaction to the last that is committed. */
static int scan(struct reading *reading, uint32_t number, struct err *err)
{
	unsigned char block[REPLAY_BLOCK] __attribute__((aligned(4096)));
	size_t entries = 0, revokes = 0;
	int rc = 1;

	do {
		if (reading->log->read(reading->log->arg, number, block, err) < 0)
			return -1;
		if (be32(block) != MAGIC || be32(block + 8) != reading->transaction)
			break;
		switch (be32(block + 4)) {
		case DESCRIPTOR:
			rc = take_descriptor(reading, block, &number, err);
			break;
		case COMMIT:
			entries = reading->replay->count;
			revokes = reading->revoke_count;
			reading->transaction++;
			break;
		case REVOKE:
			if (take_revokes(reading, block, err) < 0)
				return -1;
			break;
		default:
			rc = 0;
		}
	} while (rc > 0 && step(reading, &number));
	reading->replay->count = entries;
	reading->revoke_count = revokes;
	return rc < 0 ? -1 : 0;
}

static int by_block(const void *left, const void *right)
{
	const struct replay_entry *a = left, *b = right;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	if (a->transaction != b->transaction)
		return not_before(a->transaction, b->transaction) ? 1 : -1;
	return 0;
}

static int by_revoked(const void *left, const void *right)
{
	const struct revoke *a = left, *b = right;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	if (a->transaction != b->transaction)
		return not_before(a->transaction, b->transaction) ? 1 : -1;
	return 0;
}

/* Was the block freed, and perhaps used for data, in that transaction or a later one? */
static bool revoked(const struct reading *reading, const struct replay_entry *entry)
{
	size_t low = 0, high = reading->revoke_count;

	/* Behind the last revoke of this block, which is its newest. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (reading->revokes[middle].block <= entry->block)
			low = middle + 1;
		else
			high = middle;
	}
	return low && reading->revokes[low - 1].block == entry->block &&
	       not_before(reading->revokes[low - 1].transaction, entry->transaction);
}

/* The newest version of each block. */
static void settle(struct reading *reading)
{
	struct replay *replay = reading->replay;
	size_t kept = 0;

	if (replay->count)
		qsort(replay->entries, replay->count, sizeof(*replay->entries), by_block);
	if (reading->revoke_count)
		qsort(reading->revokes, reading->revoke_count, sizeof(*reading->revokes),
		      by_revoked);
	for (size_t i = 0; i < replay->count; i++) {
		const struct replay_entry entry = replay->entries[i];

		if (revoked(reading, &entry))
			continue;
		if (kept && replay->entries[kept - 1].block == entry.block)
			kept--;
		replay->entries[kept++] = entry;
	}
	replay->count = kept;
}

int replay_read(const struct replay_log *log, struct replay *replay, struct err *err)
{
	unsigned char super[REPLAY_BLOCK] __attribute__((aligned(4096)));
	struct reading reading = { .log = log, .replay = replay };
	uint32_t start;
	int rc;

	*replay = (struct replay){ 0 };
	if (!log->blocks)
		return err_set(err, ERR_NO, "the journal is empty");
	if (log->read(log->arg, 0, super, err) < 0)
		return -1;
	reading.length = be32(super + 0x10);
	reading.first = be32(super + 0x14);
	reading.transaction = be32(super + 0x18);
	start = be32(super + 0x1c);
	reading.features = be32(super + 0x28);
	if (be32(super) != MAGIC || be32(super + 4) != SUPERBLOCK_V2 ||
	    be32(super + 0x0c) != REPLAY_BLOCK || reading.length > log->blocks ||
	    reading.first < 1 || reading.first >= reading.length ||
	    start >= reading.length || (start && start < reading.first))
		return err_set(err, ERR_NO, "the journal's superblock cannot be right");
	if (reading.features & ~KNOWN)
		return err_set(err, ERR_NO, "the journal has features 0x%x",
			       reading.features & ~KNOWN);
	/* Nothing to be replayed. */
	if (!start)
		return 0;
	rc = scan(&reading, start, err);
	if (rc == 0)
		settle(&reading);
	free(reading.revokes);
	return rc;
}

const struct replay_entry *replay_find(const struct replay *replay, uint64_t block)
{
	size_t low = 0, high = replay->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (replay->entries[middle].block == block)
			return &replay->entries[middle];
		if (replay->entries[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void replay_restore(const struct replay_entry *entry, unsigned char *block)
{
	static const unsigned char magic[] = { 0xc0, 0x3b, 0x39, 0x98 };

	if (entry->escaped)
		memcpy(block, magic, sizeof(magic));
}

void replay_free(struct replay *replay)
{
	free(replay->entries);
	*replay = (struct replay){ 0 };
}
