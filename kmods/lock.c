#include "kmods/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/file.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"

#define LOCK_BYTES_MAX (4u << 20)
#define WORDS_MAX 9

static const char *const roles[] = { "headers", "common", "kbuild", "image", "tree" };

/* Names become file names and words of a command line: they may be nothing but words. */
bool lock_plain(const char *word)
{
	if (word[0] == '.' || word[0] == '-')
		return false;
	for (const char *p = word; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr(".+-_~^:%", *p))
			return false;
	}
	return word[0] != '\0';
}

static int take_word(char *to, size_t size, const char *word, const char *what,
		     struct err *err)
{
	if (!lock_plain(word) || strlen(word) >= size)
		return err_set(err, ERR_FAILED, "%s is not a usable %s", word, what);
	memcpy(to, word, strlen(word) + 1);
	return 0;
}

static int take_digest(char hex[SHA256_HEX_SIZE], const char *word, struct err *err)
{
	uint8_t digest[SHA256_LEN];

	if (strlen(word) != SHA256_HEX_SIZE - 1 || !sha256_from_hex(word, digest))
		return err_set(err, ERR_FAILED, "%s is not a SHA-256", word);
	sha256_to_hex(digest, hex);
	return 0;
}

/* An origin may hold what an address may, but no blank and no control byte. */
static int take_origin(struct lock_package *p, const char *word, struct err *err)
{
	const char *file = strrchr(word, '/');

	if (strlen(word) >= sizeof(p->origin))
		return err_set(err, ERR_FAILED, "its origin is too long");
	for (const char *c = word; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return err_set(err, ERR_FAILED, "its origin has control bytes");
	}
	memcpy(p->origin, word, strlen(word) + 1);
	return take_word(p->file, sizeof(p->file), file ? file + 1 : word, "file", err);
}

static int take_words(struct lock_package *p, char *const word[], size_t count,
		      struct err *err)
{
	char *end;

	while (p->role < LOCK_TREE && strcmp(word[0], roles[p->role]) != 0)
		p->role++;
	if (strcmp(word[0], roles[p->role]) != 0)
		return err_set(err, ERR_FAILED, "%s is not a role", word[0]);
	p->arch = arch_find(word[1]);
	if (!p->arch)
		return err_set(err, ERR_FAILED, "%s is not a known architecture",
			       word[1]);
	if (take_word(p->release, sizeof(p->release), word[2], "release", err) < 0 ||
	    take_word(p->package.name, sizeof(p->package.name), word[3], "package", err) <
		    0 ||
	    take_word(p->package.version, sizeof(p->package.version), word[4], "version",
		      err) < 0 ||
	    take_digest(p->package.sha256, word[5], err) < 0 ||
	    take_origin(p, word[7], err) < 0)
		return -1;
	errno = 0;
	p->size_bytes = strtoull(word[6], &end, 10);
	if (errno != 0 || *end != '\0' || word[6][0] < '0' || word[6][0] > '9')
		return err_set(err, ERR_FAILED, "%s is not a size", word[6]);
	p->successor = count == 9;
	if (p->successor && strcmp(word[8], "successor") != 0)
		return err_set(err, ERR_FAILED, "%s is not \"successor\"", word[8]);
	return 0;
}

int lock_add(struct lock *lock, const struct lock_package *package, struct err *err)
{
	size_t n = lock->count;
	struct lock_package *more;

	if (n == LOCK_PACKAGES_MAX)
		return err_set(err, ERR_FAILED, "more than %d packages",
			       LOCK_PACKAGES_MAX);
	/* At each power of two. */
	if ((n & (n - 1)) == 0) {
		more = realloc(lock->packages, (n ? 2 * n : 1) * sizeof(*more));
		if (!more)
			return err_sys(err, errno, "reading packages");
		lock->packages = more;
	}
	lock->packages[lock->count++] = *package;
	return 0;
}

static int read_line(struct lock *lock, char *line, struct err *err)
{
	char *word[WORDS_MAX], *save = NULL;
	struct lock_package package = { 0 };
	size_t count = 0;

	if (line[0] == '#')
		return 0;
	for (char *w = strtok_r(line, " \t", &save); w;
	     w = strtok_r(NULL, " \t", &save)) {
		if (count == WORDS_MAX)
			return err_set(err, ERR_FAILED, "more than %d words", WORDS_MAX);
		word[count++] = w;
	}
	if (count == 0)
		return 0;
	if (count < 8)
		return err_set(err, ERR_FAILED, "%zu words where 8 are expected", count);
	if (take_words(&package, word, count, err) < 0)
		return -1;
	return lock_add(lock, &package, err);
}

static int same_kernel(const struct lock_package *a, const struct lock_package *b)
{
	int c = strcmp(a->arch->name, b->arch->name);

	return c ? c : strcmp(a->release, b->release);
}

static int compare(const void *x, const void *y)
{
	const struct lock_package *a = x, *b = y;
	int c = same_kernel(a, b);

	if (c == 0)
		c = (a->role > b->role) - (a->role < b->role);
	return c ? c : strcmp(a->package.name, b->package.name);
}

bool lock_same_kernel(const struct lock_package *a, const struct lock_package *b)
{
	return same_kernel(a, b) == 0;
}

void lock_sort(struct lock *lock)
{
	size_t kept = 0;

	if (lock->count == 0)
		return;
	qsort(lock->packages, lock->count, sizeof(*lock->packages), compare);
	for (size_t i = 1; i < lock->count; i++) {
		const struct lock_package *a = &lock->packages[kept],
					  *b = &lock->packages[i];

		if (compare(a, b) != 0 ||
		    strcmp(a->package.sha256, b->package.sha256) != 0)
			lock->packages[++kept] = *b;
	}
	lock->count = kept + 1;
}

int lock_read(const char *path, struct lock *lock, struct err *err)
{
	char *text, *line, *save = NULL;
	unsigned number = 0;
	size_t len;
	int rc = 0;

	memset(lock, 0, sizeof(*lock));
	if (file_read(AT_FDCWD, path, LOCK_BYTES_MAX, &text, &len, err) < 0)
		return -1;
	/* Not strtok_r(): it would swallow empty lines, and with them the line number. */
	for (line = text; rc == 0 && line; line = save) {
		save = strchr(line, '\n');
		if (save)
			*save++ = '\0';
		number++;
		rc = read_line(lock, line, err);
	}
	free(text);
	if (rc < 0)
		return err_prefix(err, "%s:%u", path, number);
	if (lock->count == 0)
		return err_set(err, ERR_FAILED, "%s has no package", path);
	qsort(lock->packages, lock->count, sizeof(*lock->packages), compare);
	return 0;
}

void lock_free(struct lock *lock)
{
	free(lock->packages);
	memset(lock, 0, sizeof(*lock));
}

/* Told by the packages, so that a lock line need not say it. */
static enum kernel_kind kind_of(const struct kernel *k)
{
	const struct lock_package *first = k->packages[0];
	size_t len = strlen(first->file);
	bool common = false, kbuild = false;

	if (first->role == LOCK_TREE)
		return KERNEL_TREE;
	for (size_t i = 0; i < k->package_count; i++) {
		common = common || k->packages[i]->role == LOCK_COMMON;
		kbuild = kbuild ||
			 strncmp(k->packages[i]->package.name, "linux-kbuild-", 13) == 0;
	}
	if (len > 4 && strcmp(first->file + len - 4, ".rpm") == 0)
		return common ? KERNEL_SUSE : KERNEL_REDHAT;
	/* linux-headers-6.5.0-9-generic; Debian's is -cloud-amd64 or just -amd64. */
	return kbuild || strstr(first->release, "amd64") ||
			       strstr(first->release, "arm64")
		       ? KERNEL_DEBIAN
		       : KERNEL_UBUNTU;
}

/* Sorted by role, so a second headers package would stand second, a tree last. */
static int check_kernel(struct kernel *k, struct err *err)
{
	bool tree = k->packages[0]->role == LOCK_TREE;

	if (tree ? k->package_count == 1
		 : k->packages[0]->role == LOCK_HEADERS &&
			    k->packages[k->package_count - 1]->role != LOCK_TREE &&
			    (k->package_count == 1 ||
			     k->packages[1]->role != LOCK_HEADERS)) {
		k->kind = kind_of(k);
		return 0;
	}
	return err_set(err, ERR_FAILED, "%s %s: not exactly one headers package",
		       k->arch->name, k->release);
}

int lock_kernels(const struct lock *lock, struct kernel **kernels, size_t *count,
		 struct err *err)
{
	struct kernel *all = calloc(lock->count ? lock->count : 1, sizeof(*all)),
		      *k = NULL;
	size_t n = 0;

	if (!all)
		return err_sys(err, errno, "listing kernels");
	for (size_t i = 0; i < lock->count; i++) {
		const struct lock_package *p = &lock->packages[i];

		/* Sorted by role: the image comes last. */
		if (p->role == LOCK_IMAGE) {
			if (k && same_kernel(k->packages[0], p) == 0)
				k->image = p;
			continue;
		}
		if (!k || same_kernel(k->packages[0], p) != 0) {
			k = &all[n++];
			*k = (struct kernel){ p->arch, p->release, .locked = true };
		}
		if (k->package_count == MODULE_PACKAGES_MAX) {
			err_set(err, ERR_FAILED, "%s %s: more than %d packages",
				p->arch->name, p->release, MODULE_PACKAGES_MAX);
			goto fail;
		}
		k->packages[k->package_count++] = p;
		k->locked = k->locked && !p->successor;
	}
	for (size_t i = 0; i < n; i++) {
		if (check_kernel(&all[i], err) < 0)
			goto fail;
	}
	*kernels = all;
	*count = n;
	return 0;
fail:
	free(all);
	return -1;
}

const struct lock_package *lock_find(const struct lock *lock, const char *file)
{
	for (size_t i = 0; i < lock->count; i++) {
		if (strcmp(lock->packages[i].file, file) == 0)
			return &lock->packages[i];
	}
	return NULL;
}

char *lock_head(const char *path)
{
	struct err ignored;
	char *text, *p;
	size_t len;

	if (file_read(AT_FDCWD, path, LOCK_BYTES_MAX, &text, &len, &ignored) < 0)
		return NULL;
	for (p = text; *p == '#' || *p == '\n'; p++) {
		p = strchr(p, '\n');
		if (!p)
			return text;
	}
	*p = '\0';
	return text;
}

static void put_package(FILE *to, const struct lock_package *p)
{
	fprintf(to, "%s %s %s %s %s %s %llu %s%s\n", roles[p->role], p->arch->name,
		p->release, p->package.name, p->package.version, p->package.sha256,
		(unsigned long long)p->size_bytes, p->origin,
		p->successor ? " successor" : "");
}

int lock_write(const char *path, const char *head, const struct lock *lock, bool *changed,
	       struct err *err)
{
	char *text = NULL, *old = NULL;
	size_t len = 0, old_len;
	const char *slash = strrchr(path, '/');
	FILE *to = open_memstream(&text, &len);
	char dir[PATH_MAX];
	struct err ignored;
	int fd = -1, rc = -1;
	bool same;

	if (!to)
		return err_sys(err, errno, "writing %s", path);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1,
		 slash ? path : ".");
	fputs(head ? head : "", to);
	for (size_t i = 0; i < lock->count; i++)
		put_package(to, &lock->packages[i]);
	if (fclose(to) != 0) {
		err_sys(err, errno, "writing %s", path);
		goto out;
	}
	same = file_read(AT_FDCWD, path, LOCK_BYTES_MAX, &old, &old_len, &ignored) == 0 &&
	       old_len == len && memcmp(old, text, len) == 0;
	if (same) {
		rc = 0;
	} else {
		fd = tree_open(dir, err);
		if (fd >= 0 && io_replaceable(fd, slash ? slash + 1 : path, err) == 0)
			rc = file_put(fd, slash ? slash + 1 : path, text, len, 0644,
				      false, err);
	}
	if (changed)
		*changed = !same;
out:
	io_close(&fd);
	free(old);
	free(text);
	return rc;
}
