#include "toolkit/lib/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "toolkit/lib/io.h"

/* What stands before the point of a P-256 key in SubjectPublicKeyInfo (RFC 5480). */
static const uint8_t spki_head[26] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};
/* And before the scalar and the point in PKCS#8 (RFC 5958, RFC 5915). */
static const uint8_t pkcs8_head[36] = {
	0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86,
	0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
};
static const uint8_t pkcs8_middle[5] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };

#define SPKI_LEN (sizeof(spki_head) + KEY_POINT_LEN)
#define PKCS8_LEN (sizeof(pkcs8_head) + 32 + sizeof(pkcs8_middle) + KEY_POINT_LEN)

static void spki(const uint8_t point[KEY_POINT_LEN], uint8_t der[SPKI_LEN])
{
	memcpy(der, spki_head, sizeof(spki_head));
	memcpy(der + sizeof(spki_head), point, KEY_POINT_LEN);
}

static void set_id(struct public_key *key)
{
	uint8_t der[SPKI_LEN];

	spki(key->point, der);
	sha256(der, sizeof(der), key->id);
}

int public_key_parse(const char *pem, size_t len_bytes, struct public_key *key,
		     struct err *err)
{
	if (memchr(pem, '\0', len_bytes) ||
	    !crypto_public_parse(pem, len_bytes, key->point))
		return err_set(err, ERR_FAILED, "not a public key on P-256 in PEM");
	set_id(key);
	return 0;
}

int private_key_parse(const char *pem, size_t len_bytes, struct private_key *key,
		      struct err *err)
{
	if (memchr(pem, '\0', len_bytes) ||
	    !crypto_private_parse(pem, len_bytes, key->scalar, key->public.point))
		return err_set(err, ERR_FAILED,
			       "not an unencrypted private key on P-256 in PEM");
	set_id(&key->public);
	return 0;
}

int private_key_make(struct private_key *key, struct err *err)
{
	if (!crypto_private_make(key->scalar, key->public.point))
		return err_set(err, ERR_FAILED, "making a key failed");
	set_id(&key->public);
	return 0;
}

void private_key_wipe(struct private_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

int public_key_pem(const struct public_key *key, char pem[KEY_PEM_MAX], struct err *err)
{
	uint8_t der[SPKI_LEN];

	spki(key->point, der);
	if (!crypto_pem("PUBLIC KEY", der, sizeof(der), pem))
		return err_set(err, ERR_FAILED, "writing a key in PEM failed");
	return 0;
}

int private_key_pem(const struct private_key *key, char pem[KEY_PEM_MAX], struct err *err)
{
	uint8_t der[PKCS8_LEN];
	uint8_t *to = der;
	bool done;

	memcpy(to, pkcs8_head, sizeof(pkcs8_head));
	to += sizeof(pkcs8_head);
	memcpy(to, key->scalar, sizeof(key->scalar));
	to += sizeof(key->scalar);
	memcpy(to, pkcs8_middle, sizeof(pkcs8_middle));
	to += sizeof(pkcs8_middle);
	memcpy(to, key->public.point, KEY_POINT_LEN);
	done = crypto_pem("PRIVATE KEY", der, sizeof(der), pem);
	explicit_bzero(der, sizeof(der));
	return done ? 0 : err_set(err, ERR_FAILED, "writing a key in PEM failed");
}

int signature_make(const struct private_key *key, const uint8_t digest[SHA256_LEN],
		   uint8_t der[SIGNATURE_MAX], size_t *len_bytes, struct err *err)
{
	if (!crypto_sign(key->scalar, digest, der, len_bytes))
		return err_set(err, ERR_FAILED, "signing failed");
	/* A wrong one would give the key away. */
	return signature_check(&key->public, digest, der, *len_bytes, err);
}

/* Takes a positive INTEGER of at most 32 bytes at *at, in its only form. */
static bool take_integer(const uint8_t *der, size_t len_bytes, size_t *at)
{
	size_t len;

	if (len_bytes - *at < 3 || der[*at] != 0x02)
		return false;
	len = der[*at + 1];
	*at += 2;
	if (len == 0 || len > 33 || len > len_bytes - *at || der[*at] & 0x80)
		return false;
	/* A leading zero only before a byte that would make it negative. */
	if (der[*at] == 0 && (len == 1 || !(der[*at + 1] & 0x80)))
		return false;
	if (len == 33 && der[*at] != 0)
		return false;
	*at += len;
	return true;
}

bool signature_is_der(const uint8_t *der, size_t len_bytes)
{
	size_t at = 2;

	return len_bytes >= 8 && len_bytes <= SIGNATURE_MAX && der[0] == 0x30 &&
	       der[1] == len_bytes - 2 && take_integer(der, len_bytes, &at) &&
	       take_integer(der, len_bytes, &at) && at == len_bytes;
}

int signature_check(const struct public_key *key, const uint8_t digest[SHA256_LEN],
		    const uint8_t *der, size_t len_bytes, struct err *err)
{
	if (!signature_is_der(der, len_bytes))
		return err_set(err, ERR_NO, "not an ECDSA signature in DER");
	if (!crypto_verify(key->point, digest, der, len_bytes))
		return err_set(err, ERR_NO, "the signature is not one of this key");
	return 0;
}

/* Reads a small file; the caller wipes and frees it. Returns NULL on failure. */
static char *load(int dirfd, const char *path, bool private, size_t *len_bytes,
		  struct err *err)
{
	int fd = io_open_direct(dirfd, path, true, err);
	char *text = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0)
		err_sys(err, errno, "examining it");
	else if (private && st.st_mode & 077)
		err_set(err, ERR_REFUSED, "others than its owner may use it (mode %04o)",
			(unsigned)st.st_mode & 07777);
	else
		text = io_read_direct(fd, KEY_FILE_MAX, len_bytes, err);
	io_close(&fd);
	if (!text)
		err_prefix(err, "%s", path);
	return text;
}

int public_key_load(int dirfd, const char *path, struct public_key *key, struct err *err)
{
	size_t len;
	char *text = load(dirfd, path, false, &len, err);
	int rc;

	if (!text)
		return -1;
	rc = public_key_parse(text, len, key, err);
	free(text);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

int private_key_load(int dirfd, const char *path, struct private_key *key,
		     struct err *err)
{
	size_t len;
	char *text = load(dirfd, path, true, &len, err);
	int rc;

	if (!text)
		return -1;
	rc = private_key_parse(text, len, key, err);
	explicit_bzero(text, len);
	free(text);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

int signature_load(int dirfd, const char *path, uint8_t der[SIGNATURE_MAX],
		   size_t *len_bytes, struct err *err)
{
	char *text = load(dirfd, path, false, len_bytes, err);
	bool good;

	if (!text)
		return -1;
	good = signature_is_der((const uint8_t *)text, *len_bytes);
	if (good)
		memcpy(der, text, *len_bytes);
	free(text);
	return good ? 0 : err_set(err, ERR_NO, "%s: not an ECDSA signature in DER", path);
}
