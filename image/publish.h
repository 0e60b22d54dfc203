/*
 * A release into an EBS snapshot by the EBS direct APIs: no instance, no volume, only the
 * blocks that are not zero, or that changed against a parent. In this order: the image is
 * verified and its signature checked; it is read and hashed (the plan); the snapshot is
 * started under a token that is made of the image and every parameter; blocks are put;
 * the snapshot is sealed with the checksum of all digests; EC2 is asked until it is
 * completed; it is read back and compared. A journal remembers what was acknowledged.
 */
#ifndef FVOL_IMAGE_PUBLISH_H
#define FVOL_IMAGE_PUBLISH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "image/aws.h"
#include "image/blocks.h"
#include "image/ebs.h"
#include "image/pool.h"

/* Tags of a release's snapshot, which share, prune and the runbook know. */
#define TAG_RELEASE "fvol:release" /* the version; what makes a snapshot a release */
#define TAG_IMAGE "fvol:image-sha256"
#define TAG_MANIFEST "fvol:manifest-sha256"
#define TAG_PARENT "fvol:parent"
#define TAG_COPY_OF "fvol:copy-of"
#define PUBLISH_TAGS_MAX 40

enum publish_verify { VERIFY_ALL, VERIFY_SAMPLE, VERIFY_NONE };

struct publish_request {
	const char *image;
	struct aws_config aws; /* not needed for plan and to_file */
	unsigned connections;
	const char *kms_key, *parent, *description, *salt; /* NULL: none */
	const char
		*parent_blocks; /* the parent's list of blocks, or NULL: read it back */
	struct tag tags[PUBLISH_TAGS_MAX]; /* the user's */
	size_t n_tags;
	const char *journal, *blocks_out;
	enum publish_verify verify;
	unsigned sample; /* blocks of VERIFY_SAMPLE */
	unsigned wait_s;
	unsigned timeout_min;
	/* Who must have signed the MANIFEST: a key, a directory of trusted ones. */
	const char *key, *keys;
	bool unsigned_ok;
	const volatile sig_atomic_t *interrupted;
};

/* What is to be sent. Zero-initialised; freed by publish_plan_free(). */
struct publish_plan {
	int fd; /* of the image, -1 when closed */
	uint8_t manifest_sha256[SHA256_LEN];
	struct blocks now;     /* all blocks of the image that are not zero */
	struct blocks changes; /* those to be put */
	uint32_t gib;	       /* of the volume: not smaller than the parent's */
	uint8_t linear[SHA256_LEN];
	char token[SHA256_HEX_SIZE];
	struct tag tags[PUBLISH_TAGS_MAX + 8];
	size_t n_tags;
	char image_hex[SHA256_HEX_SIZE], manifest_hex[SHA256_HEX_SIZE];
	bool is_signed;
	char key_hex[SHA256_HEX_SIZE]; /* who signed */
};

struct publish_result {
	char snapshot[SNAPSHOT_ID_SIZE];
	uint64_t put, kept; /* blocks sent now, and by a run before */
	uint64_t read_back; /* blocks compared */
	bool was_complete;  /* an earlier run had completed it */
	bool encrypted;
	char kms_key[256];
	struct pool_result sending;
};

/* Verifies the image and its signature. Fills manifest_sha256 and who signed. */
int publish_check_image(const struct publish_request *request, struct publish_plan *plan,
			struct err *err);

/* Reads the image and, of a parent, its list. publish_plan_free() in any case. */
int publish_plan_make(const struct publish_request *request, struct publish_plan *plan,
		      struct err *err);
void publish_plan_free(struct publish_plan *plan);

/* The client token: from the image's hash and all that makes the snapshot. */
void publish_token(const struct publish_request *request, const struct publish_plan *plan,
		   char token[SHA256_HEX_SIZE]);

/* Sends, seals, waits, reads back. ERR_NO when what is read differs. */
int publish_send(const struct publish_request *request, struct publish_plan *plan,
		 struct publish_result *result, struct err *err);

/* Reads a snapshot back and compares it with the plan; *compared counts blocks. */
int publish_read_back(const struct publish_request *request,
		      const struct publish_plan *plan, const char *snapshot,
		      uint64_t *compared, struct err *err);

/*
 * The digests of a snapshot's blocks, by reading it whole: the slow way to know a parent.
 */
int publish_read_parent(const struct publish_request *request, const char *snapshot,
			struct blocks *blocks, struct err *err);

/*
 * Writes what the snapshot would hold into a sparse file of the volume's size, and reads
 * that back.
 */
int publish_to_file(const struct publish_request *request,
		    const struct publish_plan *plan, const char *path, struct err *err);

#endif
