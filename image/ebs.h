/*
 * The EBS direct APIs: a snapshot made of blocks that are put one by one, and read back
 * the same way, without a volume or an instance.
 *
 * Source: "EBS direct APIs" (API reference), service model 2019-11-02.
 */
#ifndef FVOL_IMAGE_EBS_H
#define FVOL_IMAGE_EBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/aws.h"
#include "image/blocks.h"

#define EBS_BLOCK_TOKEN_SIZE 257

struct tag {
	const char *key, *value;
};

struct ebs_start {
	uint32_t gib;
	const char *token;	 /* of idempotency, 64 characters at most */
	const char *description; /* NULL: none */
	const char *kms_key;	 /* NULL: the account's own choice; else its ARN */
	const char *parent;	 /* NULL: none; never together with kms_key */
	const struct tag *tags;
	size_t n_tags;
	unsigned timeout_min; /* without a block for so long the snapshot fails */
};

/* Whether the service has the snapshot as completed already (the token was used before).
 */
struct ebs_started {
	char snapshot[SNAPSHOT_ID_SIZE];
	bool completed;
	uint32_t gib;
};

/* Starts a snapshot, or finds the one that was started with this token. */
int ebs_start(struct aws *aws, const struct ebs_start *start, struct ebs_started *started,
	      struct err *err);

/* Puts one block of BLOCKS_BYTES. The service checks the digest and repeats it. */
int ebs_put(struct aws *aws, const char *snapshot, uint32_t index, const void *data,
	    const uint8_t digest[SHA256_LEN], struct err *err);

/*
 * Seals the snapshot of count blocks whose LINEAR checksum is linear. Refused, with 4xx,
 * for one that is sealed already.
 */
int ebs_complete(struct aws *aws, const char *snapshot, uint64_t count,
		 const uint8_t linear[SHA256_LEN], struct err *err);

struct ebs_listed {
	uint32_t index;
	char *token; /* opens the block for ebs_get() */
};

struct ebs_list {
	struct ebs_listed *at; /* ascending by index */
	size_t count, room;
	uint32_t gib; /* of the snapshot's volume */
};

/* All blocks that a snapshot holds, its parents' among them. ebs_list_free() always. */
int ebs_list(struct aws *aws, const char *snapshot, struct ebs_list *list,
	     struct err *err);
void ebs_list_free(struct ebs_list *list);

/*
 * Reads one page of ListSnapshotBlocks into list. next receives the next page's token, ""
 * at the end. ERR_FAILED for an answer that is not one. For ebs_list() and its tests.
 */
int ebs_list_page(const char *text, size_t len_bytes, struct ebs_list *list,
		  char next[1024], struct err *err);

/*
 * Gets one block into data[BLOCKS_BYTES]; digest is what was received. ERR_NO when the
 * service's own checksum is not that of the bytes it sent, on several tries.
 */
int ebs_get(struct aws *aws, const char *snapshot, const struct ebs_listed *block,
	    void *data, uint8_t digest[SHA256_LEN], struct err *err);

#endif
