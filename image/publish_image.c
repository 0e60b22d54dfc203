/* Is it an image that may be published? */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/manifest.h"
#include "image/publish.h"
#include "image/verify.h"
#include "image/walk.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/signature.h"
#include "toolkit/lib/trust.h"

struct text {
	unsigned char *bytes;
	size_t len;
};

static int keep(void *arg, uint64_t off, const void *data, size_t len, struct err *err)
{
	struct text *text = arg;

	(void)err;
	memcpy(text->bytes + off, data, len);
	return 0;
}

/* Reads a file of the volume into memory. */
static int read_file(struct ext4_volume *volume, const char *path, size_t most,
		     struct text *text, struct err *err)
{
	struct ext4_stat st;
	uint32_t ino;

	if (walk_find(volume, path, &ino, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.mode) || st.size_bytes > most)
		return err_set(err, ERR_NO, "/%s is not a file of at most %zu bytes",
			       path, most);
	text->len = (size_t)st.size_bytes;
	/* Zeroed: a hole is read as zeros. */
	text->bytes = calloc(1, text->len + 1);
	if (!text->bytes)
		return err_set(err, ERR_FAILED, "out of memory");
	return walk_read(volume, ino, keep, text, err);
}

static int load_trust(const struct publish_request *request, struct trust *trust,
		      struct err *err)
{
	struct public_key key;
	int fd, rc;

	if (request->key) {
		if (public_key_load(AT_FDCWD, request->key, &key, err) < 0)
			return -1;
		trust_only(&key, trust);
		return 0;
	}
	fd = open(request->keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", request->keys);
	rc = trust_load(fd, trust, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", request->keys) : 0;
}

static int check_signature(const struct publish_request *request,
			   struct ext4_volume *volume, struct publish_plan *plan,
			   struct err *err)
{
	struct text sig = { 0 };
	struct trust *trust;
	size_t by;
	int rc = -1;

	if (read_file(volume, MANIFEST_SIGNATURE, SIGNATURE_MAX, &sig, err) < 0) {
		free(sig.bytes);
		return err->kind != ERR_NO
			       ? -1
			       : err_set(err, ERR_NO,
					 "the image is not signed (no /%s): sign it, or "
					 "say --unsigned",
					 MANIFEST_SIGNATURE);
	}
	trust = calloc(1, sizeof(*trust));
	if (!trust)
		err_set(err, ERR_FAILED, "out of memory");
	else if (load_trust(request, trust, err) == 0 &&
		 trust_check(trust, plan->manifest_sha256, sig.bytes, sig.len, &by,
			     err) == 0)
		rc = 0;
	if (rc == 0) {
		plan->is_signed = true;
		sha256_to_hex(trust->at[by].key.id, plan->key_hex);
	}
	free(trust);
	free(sig.bytes);
	return rc;
}

int publish_check_image(const struct publish_request *request, struct publish_plan *plan,
			struct err *err)
{
	struct verify_result verified;
	struct ext4_volume *volume;
	struct text manifest = { 0 };
	int rc = -1;

	if (!request->unsigned_ok && !request->key && !request->keys)
		return err_set(err, ERR_USAGE,
			       "whose signature must the image have? --key PUBLIC.pem or "
			       "--keys DIR; or say --unsigned");
	volume = ext4_open(request->image, err);
	if (!volume)
		return err_prefix(err, "%s", request->image);
	if (read_file(volume, MANIFEST_NAME, MANIFEST_MAX, &manifest, err) == 0) {
		sha256(manifest.bytes, manifest.len, plan->manifest_sha256);
		rc = request->unsigned_ok ? 0
					  : check_signature(request, volume, plan, err);
	}
	free(manifest.bytes);
	ext4_close(volume);
	if (rc < 0)
		return err_prefix(err, "%s", request->image);
	/* The MANIFEST that was signed is the one that is verified. */
	if (verify_volume(request->image, plan->manifest_sha256, stderr, &verified, err) <
	    0)
		return -1;
	if (verified.needs_recovery)
		return err_set(err, ERR_NO,
			       "%s was mounted and not unmounted: no release",
			       request->image);
	return 0;
}
