/* Keys, signatures and the directory of trusted keys, as commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/output.h"
#include "image/sign.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"
#include "toolkit/lib/trust.h"

#define REVOKED_MAX (64 * 1024)

/* A new file with a mode of its own, on the disk when this returns. */
static int write_new(int dirfd, const char *path, mode_t mode, const char *text,
		     struct err *err)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			mode);
	int rc = -1;

	if (fd < 0)
		return err_sys(err, errno, "creating %s", path);
	/* Whatever the umask is, not more than this. */
	if (fchmod(fd, mode) < 0 || io_pwrite(fd, text, strlen(text), 0) < 0 ||
	    fsync(fd) < 0)
		err_sys(err, errno, "writing %s", path);
	else
		rc = 0;
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing %s", path);
	if (rc < 0)
		unlinkat(dirfd, path, 0);
	return rc;
}

static void print_id(FILE *out, const char *what, const uint8_t id[SHA256_LEN])
{
	char hex[SHA256_HEX_SIZE];

	sha256_to_hex(id, hex);
	cli_put_text(out, what);
	fprintf(out, " %s\n", hex);
}

int sign_keygen(const char *key_path, const char *public_path, FILE *out, struct err *err)
{
	struct private_key key;
	char private_text[KEY_PEM_MAX], public_text[KEY_PEM_MAX];
	int rc = -1;

	if (private_key_make(&key, err) == 0 &&
	    private_key_pem(&key, private_text, err) == 0 &&
	    public_key_pem(&key.public, public_text, err) == 0 &&
	    write_new(AT_FDCWD, key_path, 0600, private_text, err) == 0) {
		rc = write_new(AT_FDCWD, public_path, 0644, public_text, err);
		/* Half a pair is none. */
		if (rc < 0)
			unlink(key_path);
		else
			print_id(out, "key", key.public.id);
	}
	explicit_bzero(private_text, sizeof(private_text));
	private_key_wipe(&key);
	return rc;
}

static int hash_file(const char *path, uint8_t digest[SHA256_LEN], struct err *err)
{
	int fd = io_open_direct(AT_FDCWD, path, true, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = sums_hash_fd(fd, digest, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/* "PATH.sig"; the caller frees it. */
static char *signature_name(const char *path, struct err *err)
{
	char *name;

	if (asprintf(&name, "%s.sig", path) >= 0)
		return name;
	err_sys(err, ENOMEM, "naming a signature");
	return NULL;
}

static int sign_file(const struct signer *signer, const char *path, FILE *out,
		     struct err *err)
{
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX], id[SHA256_LEN];
	char *name = signature_name(path, err);
	size_t len;
	int rc = -1;

	if (!name)
		return -1;
	if (hash_file(path, digest, err) == 0 &&
	    signer_sign(signer, digest, der, &len, id, err) == 0)
		rc = output_text(name, (const char *)der, len, err);
	if (rc == 0) {
		cli_put_text(out, name);
		print_id(out, ": signed by key", id);
	}
	free(name);
	return rc;
}

int sign_files(const struct signer *signer, char **files, size_t count, FILE *out,
	       struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (sign_file(signer, files[i], out, err) < 0)
			return -1;
	return 0;
}

static int open_keys(const char *path, struct trust *trust, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (trust_load(fd, trust, err) < 0) {
		io_close(&fd);
		return err_prefix(err, "%s", path);
	}
	return fd;
}

int sign_load_trust(const char *public_path, const char *keys_path, struct trust *trust,
		    struct err *err)
{
	struct public_key key;
	int fd;

	if (public_path) {
		if (public_key_load(AT_FDCWD, public_path, &key, err) < 0)
			return -1;
		trust_only(&key, trust);
		return 0;
	}
	fd = open_keys(keys_path, trust, err);
	if (fd < 0)
		return -1;
	io_close(&fd);
	return 0;
}

int sign_verify(const char *public_path, const char *keys_path, const char *file,
		const char *sig, FILE *out, struct err *err)
{
	static struct trust trust;
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX];
	char *name = sig ? strdup(sig) : signature_name(file, err);
	size_t len, by;
	int rc = -1;

	if (!name)
		return err_sys(err, ENOMEM, "naming a signature");
	if (sign_load_trust(public_path, keys_path, &trust, err) < 0 ||
	    signature_load(AT_FDCWD, name, der, &len, err) < 0 ||
	    hash_file(file, digest, err) < 0)
		goto out;
	rc = trust_check(&trust, digest, der, len, &by, err);
	if (rc < 0) {
		err_prefix(err, "%s", file);
	} else {
		cli_put_text(out, file);
		print_id(out, ": signed by key", trust.at[by].key.id);
	}
out:
	free(name);
	return rc;
}

int sign_trust(const char *keys_path, const char *public_path, FILE *out, struct err *err)
{
	struct public_key key;
	char pem[KEY_PEM_MAX], name[SHA256_HEX_SIZE + 4];
	int fd, rc = -1;

	if (public_key_load(AT_FDCWD, public_path, &key, err) < 0 ||
	    public_key_pem(&key, pem, err) < 0)
		return -1;
	if (mkdir(keys_path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "making %s", keys_path);
	fd = open(keys_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", keys_path);
	sha256_to_hex(key.id, name);
	strcat(name, ".pem");
	if (write_new(fd, name, 0644, pem, err) < 0)
		err_prefix(err, "%s", keys_path);
	else
		rc = io_sync_dir(fd, err);
	io_close(&fd);
	if (rc == 0)
		print_id(out, "trusted: key", key.id);
	return rc;
}

/* The list as it is, with a line more; the caller frees it. */
static char *longer_list(int dirfd, const char *id_hex, const char *reason,
			 struct err *err)
{
	char *old = NULL, *text = NULL, date[16];
	time_t now = time(NULL);
	size_t len = 0;
	struct tm tm;
	int fd;

	strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&now, &tm));
	if (faccessat(dirfd, TRUST_REVOKED, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		fd = io_open_direct(dirfd, TRUST_REVOKED, false, err);
		old = fd < 0 ? NULL : io_read_direct(fd, REVOKED_MAX, &len, err);
		io_close(&fd);
		if (!old)
			return NULL;
	}
	if (asprintf(&text, "%s%s %s %s\n", old ? old : "", id_hex, date, reason) < 0) {
		text = NULL;
		err_sys(err, ENOMEM, "listing revoked keys");
	}
	free(old);
	return text;
}

/* Writes NAME in the directory keys_path in place of what has that name. */
static int replace(const char *keys_path, const char *name, const void *data, size_t len,
		   struct err *err)
{
	char *path;
	int rc;

	if (asprintf(&path, "%s/%s", keys_path, name) < 0)
		return err_sys(err, ENOMEM, "writing %s", name);
	rc = output_text(path, data, len, err);
	free(path);
	return rc;
}

/* Is it one that may speak for the directory, also when this key is revoked? */
static int may_revoke(const struct trust *trust, const uint8_t signer[SHA256_LEN],
		      const uint8_t revoked[SHA256_LEN], struct err *err)
{
	if (memcmp(signer, revoked, SHA256_LEN) == 0)
		return err_set(err, ERR_USAGE, "a key cannot revoke itself");
	for (size_t i = 0; i < trust->count; i++)
		if (memcmp(trust->at[i].key.id, signer, SHA256_LEN) == 0 &&
		    !trust->at[i].revoked)
			return 0;
	return err_set(err, ERR_NO, "the signing key is not trusted itself");
}

int sign_revoke(const struct signer *signer, const char *keys_path, const char *id_hex,
		const char *reason, FILE *out, struct err *err)
{
	static struct trust trust;
	uint8_t id[SHA256_LEN], by[SHA256_LEN], digest[SHA256_LEN], der[SIGNATURE_MAX];
	char *text = NULL;
	size_t len;
	int rc = -1;
	int fd;

	if (strlen(id_hex) != 2 * SHA256_LEN || !sha256_from_hex(id_hex, id) ||
	    reason[strcspn(reason, "\n\r")] || !*reason)
		return err_set(err, ERR_USAGE,
			       "revoke needs a key's id of 64 hex digits and a reason of "
			       "one line");
	fd = open_keys(keys_path, &trust, err);
	if (fd < 0)
		return -1;
	text = longer_list(fd, id_hex, reason, err);
	if (!text)
		goto out;
	sha256(text, strlen(text), digest);
	if (signer_sign(signer, digest, der, &len, by, err) < 0 ||
	    may_revoke(&trust, by, id, err) < 0 ||
	    replace(keys_path, TRUST_REVOKED, text, strlen(text), err) < 0 ||
	    replace(keys_path, TRUST_REVOKED_SIG, der, len, err) < 0)
		goto out;
	/* What was written is what a verifier accepts. */
	rc = trust_load(fd, &trust, err);
	if (rc < 0)
		err_prefix(err, "%s", keys_path);
	else
		print_id(out, "revoked: key", id);
out:
	free(text);
	io_close(&fd);
	return rc;
}
