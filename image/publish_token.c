#include <stdio.h>
#include <string.h>

#include "image/publish.h"

/* One field, with its length, so that no two sets of fields give the same bytes. */
static void field(struct sha256 *sha, const char *text)
{
	char len[24];

	snprintf(len, sizeof(len), "%zu:", text ? strlen(text) : 0);
	sha256_update(sha, len, strlen(len));
	if (text)
		sha256_update(sha, text, strlen(text));
}

void publish_token(const struct publish_request *request, const struct publish_plan *plan,
		   char token[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_LEN];
	struct sha256 sha;
	char number[24];

	sha256_init(&sha);
	field(&sha, "fvol-publish-1");
	field(&sha, plan->image_hex);
	snprintf(number, sizeof(number), "%u", plan->gib);
	field(&sha, number);
	snprintf(number, sizeof(number), "%u", request->timeout_min);
	field(&sha, number);
	field(&sha, request->aws.region);
	field(&sha, request->kms_key);
	field(&sha, request->parent);
	field(&sha, request->description);
	field(&sha, request->salt);
	for (size_t i = 0; i < plan->n_tags; i++) {
		field(&sha, plan->tags[i].key);
		field(&sha, plan->tags[i].value);
	}
	sha256_final(&sha, digest);
	sha256_to_hex(digest, token);
}
