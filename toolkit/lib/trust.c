#include "toolkit/lib/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/dirlist.h"
#include "toolkit/lib/io.h"

#define REVOKED_MAX (64 * 1024)

int trust_next_revoked(const char *text, size_t len_bytes, size_t *pos,
		       uint8_t id[SHA256_LEN], struct err *err)
{
	const char *line = text + *pos;
	const char *end = memchr(line, '\n', len_bytes - *pos);
	size_t number = 1;

	if (*pos == len_bytes)
		return 0;
	for (size_t i = 0; i < *pos; i++)
		number += text[i] == '\n';
	if (!end || end - line < 2 * SHA256_LEN + 1 || !sha256_from_hex(line, id) ||
	    line[2 * SHA256_LEN] != ' ')
		return err_set(err, ERR_FAILED,
			       "line %zu is not \"ID DATE REASON\" with its newline",
			       number);
	*pos = (size_t)(end + 1 - text);
	return 1;
}

static int add_key(int dirfd, const char *name, struct trust *trust, struct err *err)
{
	struct public_key *key;
	char hex[SHA256_HEX_SIZE];

	if (trust->count == TRUST_KEYS_MAX)
		return err_set(err, ERR_FAILED, "more than %d keys", TRUST_KEYS_MAX);
	key = &trust->at[trust->count].key;
	if (public_key_load(dirfd, name, key, err) < 0)
		return -1;
	sha256_to_hex(key->id, hex);
	if (strncmp(name, hex, strlen(hex)) != 0 || strcmp(name + strlen(hex), ".pem"))
		return err_set(err, ERR_NO, "%s holds the key %s", name, hex);
	trust->at[trust->count++].revoked = false;
	return 0;
}

static int add_keys(int dirfd, struct trust *trust, struct err *err)
{
	struct dirlist list;
	int rc = 0;

	if (dirlist_read(dirfd, &list, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		size_t len = strlen(list.names[i]);

		if (len > 4 && strcmp(list.names[i] + len - 4, ".pem") == 0)
			rc = add_key(dirfd, list.names[i], trust, err);
	}
	dirlist_free(&list);
	if (rc == 0 && !trust->count)
		rc = err_set(err, ERR_FAILED, "holds no key");
	return rc;
}

static int mark_revoked(const char *text, size_t len, struct trust *trust,
			struct err *err)
{
	uint8_t id[SHA256_LEN];
	size_t pos = 0;
	int more;

	while ((more = trust_next_revoked(text, len, &pos, id, err)) > 0)
		for (size_t i = 0; i < trust->count; i++)
			if (memcmp(trust->at[i].key.id, id, sizeof(id)) == 0)
				trust->at[i].revoked = true;
	return more;
}

static int apply_revoked(int dirfd, const char *text, size_t len, struct trust *trust,
			 struct err *err)
{
	uint8_t der[SIGNATURE_MAX], digest[SHA256_LEN];
	size_t der_len, by;

	if (mark_revoked(text, len, trust, err) < 0)
		return err_prefix(err, TRUST_REVOKED);
	if (signature_load(dirfd, TRUST_REVOKED_SIG, der, &der_len, err) < 0)
		return -1;
	/* Only what is hashed here is believed, and only by a key that it leaves. */
	sha256(text, len, digest);
	if (trust_check(trust, digest, der, der_len, &by, err) < 0)
		return err_prefix(err, TRUST_REVOKED_SIG);
	return 0;
}

static bool there_is(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int trust_load(int dirfd, struct trust *trust, struct err *err)
{
	size_t len;
	char *text;
	int fd, rc;

	trust->count = 0;
	if (add_keys(dirfd, trust, err) < 0)
		return -1;
	if (!there_is(dirfd, TRUST_REVOKED)) {
		/* A list that was taken away. */
		if (there_is(dirfd, TRUST_REVOKED_SIG))
			return err_set(err, ERR_NO,
				       TRUST_REVOKED_SIG " is there without its list");
		return 0;
	}
	fd = io_open_direct(dirfd, TRUST_REVOKED, false, err);
	if (fd < 0)
		return -1;
	text = io_read_direct(fd, REVOKED_MAX, &len, err);
	io_close(&fd);
	if (!text)
		return err_prefix(err, TRUST_REVOKED);
	rc = apply_revoked(dirfd, text, len, trust, err);
	free(text);
	return rc;
}

void trust_only(const struct public_key *key, struct trust *trust)
{
	trust->count = 1;
	trust->at[0].key = *key;
	trust->at[0].revoked = false;
}

int trust_check(const struct trust *trust, const uint8_t digest[SHA256_LEN],
		const uint8_t *der, size_t len_bytes, size_t *by, struct err *err)
{
	char hex[SHA256_HEX_SIZE];

	if (!signature_is_der(der, len_bytes))
		return err_set(err, ERR_NO, "not an ECDSA signature in DER");
	for (size_t i = 0; i < trust->count; i++) {
		if (signature_check(&trust->at[i].key, digest, der, len_bytes, err) < 0)
			continue;
		if (trust->at[i].revoked) {
			sha256_to_hex(trust->at[i].key.id, hex);
			return err_set(err, ERR_NO, "signed by the revoked key %s", hex);
		}
		*by = i;
		return 0;
	}
	return err_set(err, ERR_NO, "no trusted key has signed it");
}
