/* Modules into a catalogue: from somebody's repository, or from another catalogue. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "kmods/check.h"
#include "kmods/exchange.h"
#include "kmods/file.h"
#include "kmods/msrepo.h"
#include "kmods/repo.h"
#include "kmods/transport.h"
#include "kmods/tree.h"
#include "kmods/verify.h"
#include "toolkit/lib/gzip.h"
#include "toolkit/lib/io.h"

/* The catalogue that is added to. */
struct target {
	int dirfd;
	struct catalogue cat;
	bool changed;
	struct exchange_result *result;
};

/* The repository: an address, or a directory by its absolute name. */
struct place {
	struct transport *transport;
	char where[PATH_MAX];
};

/* Reads a file by the name that an index has for it; the caller frees it. */
static int place_read(const struct place *place, const char *name, size_t max,
		      char **data, size_t *len, struct err *err)
{
	char joined[REPO_ORIGIN_SIZE];

	*data = NULL;
	if (repo_join(place->where, name, joined, err) < 0)
		return -1;
	if (transport_get(place->transport, joined, max, NULL, data, len, err) < 0)
		return err_prefix(err, "%s", name);
	return 0;
}

static int place_open(struct place *place, const struct import_options *options,
		      struct err *err)
{
	const struct transport_config config = { .scratch = options->into,
						 .ca = options->ca };

	place->transport = NULL;
	if (strstr(options->from, "://"))
		snprintf(place->where, sizeof(place->where), "%s", options->from);
	else if (!realpath(options->from, place->where))
		return err_sys(err, errno, "opening %s", options->from);
	place->transport = transport_new(&config, err);
	return place->transport ? 0 : -1;
}

static int target_open(struct target *t, const char *into, struct err *err)
{
	int fd;

	t->dirfd = tree_open(into, err);
	if (t->dirfd < 0)
		return -1;
	/* Two at a time would each lose what the other adds. */
	if (flock(t->dirfd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_FAILED, "another kmods is at work in %s", into);
	if (faccessat(t->dirfd, CATALOGUE_FILE, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	fd = catalogue_open(into, &t->cat, err);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static void target_close(struct target *t)
{
	t->result->version = t->cat.version;
	catalogue_free(&t->cat);
	io_close(&t->dirfd);
}

static int put_file(int dirfd, const struct module *m, const char *file, const void *data,
		    size_t len, struct err *err)
{
	char path[TREE_PATH_SIZE], name[NAME_MAX + 1];
	int dir, rc;

	snprintf(path, sizeof(path), "%s/%s/%s", m->arch, m->release, file);
	dir = tree_parent(dirfd, path, true, name, err);
	if (dir < 0)
		return err_prefix(err, "%s", path);
	if (data)
		rc = file_put(dir, name, data, len, 0644, false, err);
	else
		rc = unlinkat(dir, name, 0) < 0 && errno != ENOENT
			     ? err_sys(err, errno, "removing it")
			     : 0;
	close(dir);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/*
 * Puts a module, with its symbol file when symbols is not NULL, into its place. While the
 * files of a kernel change, the catalogue on the disk does not have it.
 */
static int target_put(struct target *t, const struct module *m, const char *data,
		      size_t len, const char *symbols, size_t symbols_len,
		      struct err *err)
{
	struct module *old = catalogue_find(&t->cat, m->arch, m->release);

	if (!t->changed)
		t->cat.version++;
	t->changed = true;
	t->result->added += !old;
	t->result->replaced += old != NULL;
	if (old) {
		size_t at = (size_t)(old - t->cat.modules);

		memmove(old, old + 1, (t->cat.count - at - 1) * sizeof(*old));
		t->cat.count--;
		if (catalogue_write(t->dirfd, &t->cat, true, err) < 0)
			return -1;
	}
	if (put_file(t->dirfd, m, MODULE_FILE, data, len, err) < 0 ||
	    put_file(t->dirfd, m, SYMBOLS_FILE, symbols, symbols_len, err) < 0 ||
	    catalogue_set(&t->cat, m, err) < 0)
		return -1;
	return catalogue_write(t->dirfd, &t->cat, true, err);
}

static int read_list(const struct place *place, struct msrepo *repo,
		     struct msrepo_list *list, struct err *err)
{
	char *text, *packed = NULL, *unpacked = NULL, hex[SHA256_HEX_SIZE];
	size_t len, got;
	int rc = -1;

	memset(repo, 0, sizeof(*repo));
	if (place_read(place, MSREPO_TOP, MSREPO_TOP_MAX, &text, &len, err) < 0)
		return -1;
	rc = msrepo_read_top(text, len, list, err);
	free(text);
	if (rc < 0)
		return err_prefix(err, MSREPO_TOP);
	rc = -1;
	if (place_read(place, list->location, MSREPO_LIST_MAX, &packed, &len, err) < 0)
		return -1;
	file_digest(packed, len, hex);
	unpacked = malloc(MSREPO_LIST_MAX);
	if (strcmp(hex, list->sha256) != 0)
		err_set(err, ERR_NO, "its SHA-256 is %s, " MSREPO_TOP " says %s", hex,
			list->sha256);
	else if (!unpacked)
		err_sys(err, errno, "unpacking");
	else if (gunzip(packed, len, unpacked, MSREPO_LIST_MAX, &got, err) == 0) {
		file_digest(unpacked, got, hex);
		if (strcmp(hex, list->open_sha256) != 0)
			err_set(err, ERR_NO, "unpacked, its SHA-256 is %s and not %s",
				hex, list->open_sha256);
		else
			rc = msrepo_read_list(unpacked, got, repo, err);
	}
	free(unpacked);
	free(packed);
	return rc < 0 ? err_prefix(err, "%s", list->location) : 0;
}

/* What a module says of itself becomes its entry. */
static int describe(const struct msrepo_module *listed, const char *data, size_t len,
		    struct module *m, struct err *err)
{
	struct modinfo info;
	const struct arch *arch;

	if (modinfo_read(data, len, &info, err) < 0)
		return -1;
	for (arch = archs; arch->name && arch->machine != info.machine;)
		arch++;
	if (!arch->name)
		return err_set(err, ERR_NO, "it is for ELF machine %u", info.machine);
	if (listed->arch[0] && strcmp(listed->arch, arch->name) != 0)
		return err_set(err, ERR_NO, "it is for %s, listed for %s", arch->name,
			       listed->arch);
	if (check_ko(data, len, arch, listed->release, &info, err) < 0)
		return -1;
	memset(m, 0, sizeof(*m));
	snprintf(m->arch, sizeof(m->arch), "%s", arch->name);
	snprintf(m->release, sizeof(m->release), "%s", listed->release);
	snprintf(m->flavour, sizeof(m->flavour), "%s", release_flavour(m->release));
	snprintf(m->sha256, sizeof(m->sha256), "%s", listed->sha256);
	m->size_bytes = len;
	snprintf(m->vermagic, sizeof(m->vermagic), "%s", info.vermagic);
	snprintf(m->srcversion, sizeof(m->srcversion), "%s", info.srcversion);
	snprintf(m->build_id, sizeof(m->build_id), "%s", info.build_id);
	return 0;
}

/* Are module and symbol file of an entry what it says? */
static bool is_whole(int dirfd, const struct module *m, struct err *err)
{
	char *data;
	size_t len;

	if (check_module(dirfd, m, &data, &len, err) < 0)
		return false;
	free(data);
	if (!m->symbols_sha256[0])
		return true;
	if (check_symbols(dirfd, m, &data, &len, err) < 0)
		return false;
	free(data);
	return true;
}

/* 1 taken, or there already; 0 refused, -1 when the catalogue cannot be written. */
static int import_module(struct target *t, const struct place *place,
			 const struct msrepo_module *listed, struct err *err)
{
	char *data, hex[SHA256_HEX_SIZE];
	const struct module *have;
	struct module m;
	size_t len;
	int rc = 0;

	if (place_read(place, listed->location, MODULE_BYTES_MAX, &data, &len, err) < 0)
		return 0;
	file_digest(data, len, hex);
	if (strcmp(hex, listed->sha256) != 0) {
		err_set(err, ERR_NO, "its SHA-256 is %s, listed is %s", hex,
			listed->sha256);
	} else if (describe(listed, data, len, &m, err) == 0) {
		have = catalogue_find(&t->cat, m.arch, m.release);
		/* One that was built here is worth more, and so is its word "tested". */
		if (!have) {
			rc = target_put(t, &m, data, len, NULL, 0, err) < 0 ? -1 : 1;
		} else if (is_whole(t->dirfd, have, err)) {
			t->result->kept++;
			rc = 1;
		} else {
			err_prefix(err, "the catalogue has another, but");
			err->kind = ERR_NO;
		}
	}
	free(data);
	return rc;
}

/* Imports what is asked for. Returns 0, or -1 with ERR_NO when modules were refused. */
static int import_all(struct target *t, const struct place *place,
		      const struct msrepo *repo, const struct import_options *options,
		      exchange_refusal *refusal, void *arg, struct err *err)
{
	size_t looked_at = 0;

	for (size_t i = 0; i < repo->count; i++) {
		const struct msrepo_module *listed = &repo->modules[i];
		struct err why;
		int rc;

		if (options->release && strcmp(listed->release, options->release) != 0)
			continue;
		looked_at++;
		rc = import_module(t, place, listed, &why);
		if (rc > 0)
			continue;
		err_prefix(&why, "%s", listed->release);
		if (rc < 0) {
			*err = why;
			return -1;
		}
		refusal(arg, why.text);
		t->result->refused++;
	}
	if (looked_at == 0)
		return err_set(err, ERR_NO, "the repository has no such module");
	if (t->result->refused > 0)
		return err_set(err, ERR_NO, "%zu of %zu modules were refused",
			       t->result->refused, looked_at);
	return 0;
}

int import_repo(const struct import_options *options, exchange_refusal *refusal,
		void *arg, struct exchange_result *result, struct err *err)
{
	struct target t = { .dirfd = -1, .result = result };
	struct msrepo repo = { .modules = NULL };
	struct place place = { .transport = NULL };
	struct msrepo_list list;
	int rc = -1;

	memset(result, 0, sizeof(*result));
	if (place_open(&place, options, err) < 0 ||
	    read_list(&place, &repo, &list, err) < 0)
		goto out;
	if (list.revision < options->min_revision)
		err_set(err, ERR_NO, "the repository has revision %llu, older than %llu",
			(unsigned long long)list.revision,
			(unsigned long long)options->min_revision);
	else if (target_open(&t, options->into, err) == 0)
		rc = import_all(&t, &place, &repo, options, refusal, arg, err);
out:
	target_close(&t);
	msrepo_free(&repo);
	transport_free(place.transport);
	return rc;
}

static int add_module(struct target *t, const char *from, int fromfd,
		      const struct module *m, struct err *err)
{
	const struct module *have = catalogue_find(&t->cat, m->arch, m->release);
	char *data, *symbols = NULL;
	size_t len, symbols_len = 0;
	int rc = -1;

	/* Both are zeroed before they are filled, so the bytes may be compared. */
	if (have && memcmp(have, m, sizeof(*m)) == 0 && is_whole(t->dirfd, m, err)) {
		t->result->kept++;
		return 0;
	}
	if (check_module(fromfd, m, &data, &len, err) < 0)
		return err_prefix(err, "%s", from);
	if (m->symbols_sha256[0] &&
	    check_symbols(fromfd, m, &symbols, &symbols_len, err) < 0)
		err_prefix(err, "%s", from);
	else
		rc = target_put(t, m, data, len, symbols, symbols_len, err);
	free(symbols);
	free(data);
	return rc;
}

int catalogue_add(const char *from, const char *into, const struct choice *choice,
		  struct exchange_result *result, struct err *err)
{
	struct target t = { .dirfd = -1, .result = result };
	struct catalogue cat;
	int fromfd, rc = -1;

	memset(result, 0, sizeof(*result));
	fromfd = catalogue_open(from, &cat, err);
	if (fromfd < 0 || target_open(&t, into, err) < 0)
		goto out;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < cat.count; i++) {
		if (choice_has(choice, &cat.modules[i]))
			rc = add_module(&t, from, fromfd, &cat.modules[i], err);
	}
	if (rc == 0 && result->added + result->replaced + result->kept == 0)
		rc = err_set(err, ERR_NO, "%s has no such module", from);
out:
	target_close(&t);
	io_close(&fromfd);
	catalogue_free(&cat);
	return rc;
}
