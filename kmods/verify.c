#include "kmods/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/check.h"
#include "kmods/file.h"
#include "toolkit/lib/dirlist.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/trust.h"

struct verify {
	const struct verify_options *options;
	verify_finding *finding;
	void *arg;
	struct verify_result *result;
	struct catalogue cat;
	size_t refused; /* findings that are no answer: it may not be read */
	int dirfd;
};

static void found(struct verify *v, const struct err *err)
{
	v->result->findings++;
	v->refused += err->kind == ERR_REFUSED;
	v->finding(v->arg, err->text);
}

static int open_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "opening %s", dir) : fd;
}

/* Reads the text of the catalogue; the caller frees it. */
static int read_text(int dirfd, char **text, size_t *len, struct err *err)
{
	return file_read(dirfd, CATALOGUE_FILE, CATALOGUE_BYTES_MAX, text, len, err);
}

int catalogue_open(const char *dir, struct catalogue *cat, struct err *err)
{
	size_t len, left_out;
	char *text;
	int fd;

	memset(cat, 0, sizeof(*cat));
	fd = open_dir(dir, err);
	if (fd < 0)
		return -1;
	if (read_text(fd, &text, &len, err) == 0) {
		int rc = catalogue_parse(text, len, cat, &left_out, err);

		free(text);
		if (rc == 0 && left_out == 0)
			return fd;
		if (rc == 0)
			err_set(err, ERR_FAILED,
				"%zu entries are not as kmods writes them", left_out);
		err_prefix(err, CATALOGUE_FILE);
	}
	close(fd);
	return err_prefix(err, "%s", dir);
}

int catalogue_sign(const char *dir, const struct signer *signer, uint8_t id[SHA256_LEN],
		   struct err *err)
{
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX];
	struct catalogue cat = { 0 };
	size_t len, text_len;
	char *text = NULL;
	int fd, rc = -1;

	fd = catalogue_open(dir, &cat, err);
	if (fd < 0)
		goto out;
	if (read_text(fd, &text, &text_len, err) < 0)
		goto out;
	sha256(text, text_len, digest);
	if (signer_sign(signer, digest, der, &len, id, err) == 0)
		rc = file_put(fd, CATALOGUE_SIGNATURE, der, len, 0644, false, err);
out:
	io_close(&fd);
	free(text);
	catalogue_free(&cat);
	return rc;
}

static int load_trust(const struct verify_options *o, struct trust *trust,
		      struct err *err)
{
	struct public_key key;
	int fd, rc;

	if (o->key) {
		if (public_key_load(AT_FDCWD, o->key, &key, err) < 0)
			return -1;
		trust_only(&key, trust);
		return 0;
	}
	fd = open_dir(o->keys, err);
	if (fd < 0)
		return -1;
	rc = trust_load(fd, trust, err);
	close(fd);
	return rc < 0 ? err_prefix(err, "%s", o->keys) : 0;
}

/* -1 only when the keys themselves cannot be read. */
static int verify_signature(struct verify *v, const char *text, size_t len,
			    struct err *err)
{
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX];
	struct trust trust;
	size_t der_len, by;
	struct err why;

	v->result->has_signature =
		faccessat(v->dirfd, CATALOGUE_SIGNATURE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!v->options->key && !v->options->keys)
		return 0;
	if (load_trust(v->options, &trust, err) < 0)
		return -1;
	sha256(text, len, digest);
	if (signature_load(v->dirfd, CATALOGUE_SIGNATURE, der, &der_len, &why) == 0) {
		if (trust_check(&trust, digest, der, der_len, &by, &why) == 0) {
			v->result->signature_checked = true;
			return 0;
		}
		err_prefix(&why, CATALOGUE_SIGNATURE);
	}
	found(v, &why);
	return 0;
}

static void verify_entries(struct verify *v)
{
	for (size_t i = 0; i < v->cat.count; i++) {
		const struct module *m = &v->cat.modules[i];
		struct err why;
		char *data;
		size_t len;

		if (check_module(v->dirfd, m, &data, &len, &why) < 0)
			found(v, &why);
		free(data);
		v->result->modules++;
		v->result->tested += m->tested;
		if (!m->tested && v->options->tested) {
			err_set(&why, ERR_NO, "%s/%s: not boot-tested", m->arch,
				m->release);
			found(v, &why);
		}
		if (!m->symbols_sha256[0])
			continue;
		if (check_symbols(v->dirfd, m, &data, &len, &why) < 0)
			found(v, &why);
		free(data);
		v->result->symbols++;
	}
}

static void stray(struct verify *v, const char *arch, const char *release,
		  const char *name)
{
	struct err why;

	err_set(&why, ERR_NO, "%s%s%s%s%s: the catalogue does not have it", arch,
		*arch ? "/" : "", release, *release ? "/" : "", name);
	found(v, &why);
}

static bool is_dir(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Calls visit for each name in the directory at dirfd/name, in order. */
static int each_name(struct verify *v, int dirfd, const char *name, const char *arch,
		     const char *release,
		     int (*visit)(struct verify *, int, const char *, const char *,
				  const char *, struct err *),
		     struct err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirlist list;
	int rc = 0;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", name);
	if (dirlist_read(fd, &list, err) < 0) {
		close(fd);
		return err_prefix(err, "%s", name);
	}
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		rc = visit(v, fd, list.names[i], arch, release, err);
	dirlist_free(&list);
	close(fd);
	return rc;
}

static int visit_file(struct verify *v, int dirfd, const char *name, const char *arch,
		      const char *release, struct err *err)
{
	const struct module *m = catalogue_find(&v->cat, arch, release);

	(void)dirfd;
	(void)err;
	if (strcmp(name, MODULE_FILE) != 0 &&
	    (strcmp(name, SYMBOLS_FILE) != 0 || !m->symbols_sha256[0]))
		stray(v, arch, release, name);
	return 0;
}

static int visit_release(struct verify *v, int dirfd, const char *name, const char *arch,
			 const char *release, struct err *err)
{
	(void)release;
	if (!catalogue_find(&v->cat, arch, name) || !is_dir(dirfd, name)) {
		stray(v, arch, "", name);
		return 0;
	}
	return each_name(v, dirfd, name, arch, name, visit_file, err);
}

static int visit_top(struct verify *v, int dirfd, const char *name, const char *arch,
		     const char *release, struct err *err)
{
	(void)arch;
	(void)release;
	if (strcmp(name, CATALOGUE_FILE) == 0 || strcmp(name, CATALOGUE_SIGNATURE) == 0)
		return 0;
	if (!arch_find(name) || !is_dir(dirfd, name)) {
		stray(v, "", "", name);
		return 0;
	}
	return each_name(v, dirfd, name, name, "", visit_release, err);
}

static int verify(struct verify *v, struct err *err)
{
	size_t len, left_out;
	struct err why;
	char *text;
	int rc;

	if (read_text(v->dirfd, &text, &len, err) < 0)
		return -1;
	rc = catalogue_parse(text, len, &v->cat, &left_out, err);
	if (rc < 0)
		err_prefix(err, CATALOGUE_FILE);
	else
		rc = verify_signature(v, text, len, err);
	free(text);
	if (rc < 0)
		return -1;
	v->result->version = v->cat.version;
	if (v->cat.version < v->options->min_version) {
		err_set(&why, ERR_NO,
			CATALOGUE_FILE ": version %" PRIu64 " is older than %" PRIu64
				       ", the least that is accepted",
			v->cat.version, v->options->min_version);
		found(v, &why);
	}
	if (left_out > 0) {
		err_set(&why, ERR_NO,
			CATALOGUE_FILE ": %zu entries are not as kmods writes them",
			left_out);
		found(v, &why);
	}
	verify_entries(v);
	return each_name(v, v->dirfd, ".", "", "", visit_top, err);
}

int catalogue_verify(const struct verify_options *options, verify_finding *finding,
		     void *arg, struct verify_result *result, struct err *err)
{
	struct verify v = {
		.options = options, .finding = finding, .arg = arg, .result = result
	};
	int rc;

	memset(result, 0, sizeof(*result));
	v.dirfd = open_dir(options->dir, err);
	if (v.dirfd < 0)
		return -1;
	rc = verify(&v, err);
	close(v.dirfd);
	catalogue_free(&v.cat);
	if (rc < 0)
		return err_prefix(err, "%s", options->dir);
	if (result->findings > 0)
		return err_set(err, v.refused == result->findings ? ERR_REFUSED : ERR_NO,
			       "%s: %zu %s wrong", options->dir, result->findings,
			       result->findings == 1 ? "thing is" : "things are");
	return 0;
}
