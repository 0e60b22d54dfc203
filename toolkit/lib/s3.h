/*
 * The calls of S3 that evidence needs: multipart upload, whole small objects, HEAD and
 * ranged GET, with what makes an object evidence: SHA-256 checksums, never over an object
 * that is there, the bucket's expected owner, encryption by KMS, Object Lock. Each call
 * is signed, tried again with full jitter where that may help, with fresh credentials
 * when they have expired, and reads the answer whatever its status. What the server says
 * is hostile: bounded, and compared with what was sent where it can be.
 *
 * Source: Amazon S3 API Reference, 2006-03-01.
 */
#ifndef FVOL_S3_H
#define FVOL_S3_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/credentials.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/http.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sigv4.h"

#define S3_PARTS_MAX 10000
#define S3_PART_MIN_BYTES (5ULL << 20) /* but for the last */
#define S3_PART_MAX_BYTES (5ULL << 30)
#define S3_OBJECT_MAX_BYTES (5ULL << 40)
#define S3_KEY_MAX 1024
#define S3_ETAG_SIZE 80
#define S3_UPLOAD_ID_SIZE 1025
#define S3_BASE64_SIZE 45 /* of a SHA-256, with its NUL */
#define S3_ID_SIZE 33	  /* 32 hex digits and a NUL */
#define S3_URL_SIZE (SIGV4_QUERY_SIZE + 4096)

/* Where and how; strings are borrowed and outlive every client. */
struct s3_config {
	const char *region, *bucket;
	/* NULL: AWS's of the Region. Else "https://HOST[:PORT]", with path-style URLs. */
	const char *endpoint;
	struct http_config http;
	struct credentials *credentials; /* NULL: only s3_send() works */

	const char *expected_owner; /* account id, or NULL */
	/* NULL: the bucket's default. "": SSE-KMS by its default key. Else a key's ARN.
	 */
	const char *kms_key;
	const char *lock_mode;	  /* GOVERNANCE or COMPLIANCE, or NULL */
	const char *retain_until; /* 2027-01-01T00:00:00Z, with lock_mode */
	bool legal_hold;
	bool overwrite; /* false: If-None-Match: * */
	/*
	 * Parts are signed with their checksum header and not with their bytes, which S3
	 * holds against it all the same. A server that does not know the header then
	 * checks nothing, and hashes nothing.
	 */
	bool unsigned_payload;

	unsigned attempts; /* of one call; 0: 10 */
	unsigned base_ms;  /* of the jittered waits; 0: 100, doubled up to 20 s */
	int stall_ms;	   /* 0: HTTP_STALL_MS */
};

/* A client, for one thread at a time. */
struct s3;

struct s3 *s3_new(const struct s3_config *config, struct err *err);
void s3_free(struct s3 *s3);

/* The status that the last call ended with; 0: no answer. */
int s3_status(const struct s3 *s3);
/* Attempts after the first, of all calls. */
uint64_t s3_retries(const struct s3 *s3);

struct s3_part {
	uint32_t number;
	uint64_t len_bytes;
	bool hashed; /* sha256 is known */
	uint8_t sha256[SHA256_LEN];
	char etag[S3_ETAG_SIZE]; /* without its quotes */
};

/* What is known of an object; empty strings where the server did not say. */
struct s3_object {
	uint64_t len_bytes;
	char etag[S3_ETAG_SIZE];
	/* x-amz-checksum-sha256: BASE64, or BASE64-PARTS of a multipart object. */
	char checksum[S3_BASE64_SIZE + 8];
	/* The whole object's SHA-256 in hex, from our own metadata. */
	char sha256[SHA256_HEX_SIZE];
	/* What s3_create() or s3_put() gave it: proof that it is the one we stored. */
	char id[S3_ID_SIZE];
	char version[256];
	/* Where asked for: what the server says of encryption and lock. */
	char sse[32], lock_mode[16], legal_hold[8];
};

/* Makes a random id for an object that is to be stored. Returns 0 or -1 with err. */
int s3_new_id(char id[S3_ID_SIZE], struct err *err);

/*
 * CreateMultipartUpload. sha256 (hex of the whole object, or NULL) and id become
 * metadata. checksums: each part will come with one (S3 then wants it, which a presigned
 * part cannot have). Returns 0 with the upload's id, or -1 with err.
 */
int s3_create(struct s3 *s3, const char *key, const char *id, const char *sha256,
	      bool checksums, char upload_id[S3_UPLOAD_ID_SIZE], struct err *err);

/*
 * UploadPart. part->number, ->sha256 and ->len_bytes are given; the ETag is written. A
 * checksum that the server gives back and is another is an error.
 */
int s3_put_part(struct s3 *s3, const char *key, const char *upload_id, const void *data,
		struct s3_part *part, struct err *err);

/* Called for each part of a list, in ascending order. Returns 0 or -1 with err. */
typedef int s3_part_fn(void *arg, const struct s3_part *part, struct err *err);

/* ListParts, all pages. */
int s3_list_parts(struct s3 *s3, const char *key, const char *upload_id, s3_part_fn *each,
		  void *arg, struct err *err);

/*
 * CompleteMultipartUpload with ascending parts. A 200 that holds an error is an error.
 * The request may have been sent twice (a connection broke), and then the second answer
 * says that the upload is gone or the object is there: at s3_status() 404 and 412 look at
 * the object's id.
 */
int s3_complete(struct s3 *s3, const char *key, const char *upload_id,
		const struct s3_part *parts, size_t n_parts, struct s3_object *object,
		struct err *err);

int s3_abort(struct s3 *s3, const char *key, const char *upload_id, struct err *err);

/*
 * PutObject of what is in memory, with its SHA-256 as checksum and metadata. At 412 the
 * object that is there may be what an attempt before stored: look at its id.
 */
int s3_put(struct s3 *s3, const char *key, const char *id, const void *data,
	   size_t len_bytes, const uint8_t sha256[SHA256_LEN], struct s3_object *object,
	   struct err *err);

/* HEAD. A missing object is -1 with s3_status() 404. */
int s3_head(struct s3 *s3, const char *key, struct s3_object *object, struct err *err);

/*
 * Reads len_bytes at off of the very object that has this ETag. Returns 0 when exactly
 * that came, or -1 with err.
 */
int s3_get(struct s3 *s3, const char *key, const char *etag, uint64_t off, void *buf,
	   size_t len_bytes, struct err *err);

/* A presigned URL, valid for expires_s from when. Only the host is signed with it. */
int s3_presign(struct s3 *s3, const char *method, const char *key,
	       const struct sigv4_pair *query, size_t n_query, time_t when,
	       unsigned expires_s, char url[S3_URL_SIZE], struct err *err);

/*
 * Uses a presigned URL: sends data (NULL: a GET into buf, of at most size - 1 bytes) with
 * the same patience as the signed calls. Nothing of the URL but host and path gets into
 * err. etag and got_bytes may be NULL.
 */
int s3_send(struct s3 *s3, const char *url, const void *data, size_t len_bytes, char *buf,
	    size_t size, size_t *got_bytes, char etag[S3_ETAG_SIZE], struct err *err);

/* BASE64(SHA-256 of the parts' digests in order)-COUNT: S3's checksum of the object. */
void s3_composite(const struct s3_part *parts, size_t n_parts,
		  char out[S3_BASE64_SIZE + 8]);

/* What the server sends goes through these; they are shown to tests. */
bool s3_etag(const char *header, char etag[S3_ETAG_SIZE]);
void s3_base64(const uint8_t digest[SHA256_LEN], char out[S3_BASE64_SIZE]);

#endif
