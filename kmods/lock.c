#include "kmods/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/file.h"

#define LOCK_BYTES_MAX (4u << 20)
#define WORDS_MAX 9

static const char *const roles[] = { "headers", "common", "kbuild", "image" };

/* Names become file names and words of a command line: they may be nothing but words. */
static bool plain(const char *word)
{
	if (word[0] == '.' || word[0] == '-')
		return false;
	for (const char *p = word; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr(".+-_~:%", *p))
			return false;
	}
	return word[0] != '\0';
}

static int take_word(char *to, size_t size, const char *word, const char *what,
		     struct err *err)
{
	if (!plain(word) || strlen(word) >= size)
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

static int take_words(struct lock_package *p, char *const word[], size_t count,
		      struct err *err)
{
	const char *file = strrchr(word[7], '/');
	char *end;

	while (p->role < LOCK_IMAGE && strcmp(word[0], roles[p->role]) != 0)
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
	    take_word(p->file, sizeof(p->file), file ? file + 1 : word[7], "file", err) <
		    0)
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

static int read_line(struct lock *lock, char *line, struct err *err)
{
	char *word[WORDS_MAX], *save = NULL;
	struct lock_package *more;
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
	if (lock->count == LOCK_PACKAGES_MAX)
		return err_set(err, ERR_FAILED, "more than %d packages",
			       LOCK_PACKAGES_MAX);
	more = realloc(lock->packages, (lock->count + 1) * sizeof(*more));
	if (!more)
		return err_sys(err, errno, "reading packages");
	lock->packages = more;
	memset(&more[lock->count], 0, sizeof(*more));
	return take_words(&more[lock->count++], word, count, err);
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

int lock_kernels(const struct lock *lock, struct kernel **kernels, size_t *count,
		 struct err *err)
{
	struct kernel *all = calloc(lock->count, sizeof(*all)), *k = NULL;
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
		/* Sorted by role, so a second one would stand second. */
		if (all[i].packages[0]->role == LOCK_HEADERS &&
		    (all[i].package_count == 1 ||
		     all[i].packages[1]->role != LOCK_HEADERS))
			continue;
		err_set(err, ERR_FAILED, "%s %s: not exactly one headers package",
			all[i].arch->name, all[i].release);
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
