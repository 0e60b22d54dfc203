/*
 * Uploads without keys on the instance. The responder's presign starts the upload and
 * stores a list of part URLs as one object; the instance fetches the list with a single
 * presigned GET and sends parts; the responder's complete lists, compares and completes.
 */
#ifndef FVOL_UPLOAD_PRESIGNED_H
#define FVOL_UPLOAD_PRESIGNED_H

#include <stdint.h>

#include "toolkit/lib/s3.h"
#include "toolkit/lib/transfer.h"

#define LIST_MAX_BYTES (4 * 1024 * 1024)
#define SIGNATURE_SIZE 65

/* The list: all URLs are alike but for part number and signature. */
struct url_list {
	char *before; /* up to and with "partNumber=" */
	char *after;  /* from there up to and with "X-Amz-Signature=" */
	char (*signatures)[SIGNATURE_SIZE];
	uint32_t n_parts;
	uint64_t part_bytes;
	char bucket[64], key[S3_KEY_MAX + 1];
};

/* Signs n_parts URLs. Returns 0 or -1 with err; url_list_free() in any case. */
int url_list_sign(struct url_list *list, struct s3 *s3, const char *bucket,
		  const char *key, const char *upload_id, uint32_t n_parts,
		  uint64_t part_bytes, unsigned expires_s, struct err *err);

/* As text; the caller wipes and frees it. NULL with err. */
char *url_list_text(const struct url_list *list, size_t *len_bytes, struct err *err);

/* Reads one that came over the network. As above. */
int url_list_read(struct url_list *list, const char *text, size_t len_bytes,
		  struct err *err);

/* For struct transfer_urls; arg is the list. */
int url_list_url(void *arg, uint32_t number, char url[S3_URL_SIZE], struct err *err);

/* Wipes and frees. */
void url_list_free(struct url_list *list);

/*
 * The URL of the list: a line of a file, of standard input ("-"), or the variable
 * FVOL_PRESIGNED_URL ("env"), which is then overwritten. Returns 0 or -1 with err.
 */
int presigned_url(const char *where, char url[S3_URL_SIZE], struct err *err);

/* What presign noted for complete and abort. No secret is in it. */
struct upload_state {
	char bucket[64], key[S3_KEY_MAX + 1], list_key[S3_KEY_MAX + 1];
	char id[S3_ID_SIZE], upload_id[S3_UPLOAD_ID_SIZE];
	uint64_t part_bytes;
};

int upload_state_write(const struct upload_state *state, const char *path,
		       struct err *err);
int upload_state_read(struct upload_state *state, const char *path, struct err *err);

/* The record of parts that were sent: written by the instance, read by the responder. */
struct parts_record {
	uint64_t len_bytes;
	uint8_t sha256[SHA256_LEN];
	struct s3_part *parts; /* the caller frees it */
	size_t n_parts;
};

int parts_record_write(const struct parts_record *record, const char *bucket,
		       const char *key, const char *path, struct err *err);
/* Reads one; it came from the instance, so it is hostile. */
int parts_record_read(struct parts_record *record, const char *text, size_t len_bytes,
		      struct err *err);

#endif
