#include "kmods/lime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/file.h"
#include "toolkit/lib/io.h"

#define LIME_BYTES_MAX (1u << 20)
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* NAME.c and NAME.h of names that mean nothing to make. */
static bool is_source(const char *name)
{
	size_t n = strspn(name, LETTERS);

	return n > 0 && (strcmp(name + n, ".c") == 0 || strcmp(name + n, ".h") == 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct lime_file *)a)->name,
		      ((const struct lime_file *)b)->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int read_files(DIR *dir, struct lime *lime, struct err *err)
{
	struct dirent *d;

	while (errno = 0, (d = readdir(dir)) != NULL) {
		struct lime_file *f = &lime->files[lime->count];

		if (!is_source(d->d_name))
			continue;
		if (lime->count == LIME_FILES_MAX || strlen(d->d_name) >= sizeof(f->name))
			return err_set(err, ERR_FAILED,
				       "more than %d files, or a name too long",
				       LIME_FILES_MAX);
		if (file_read(dirfd(dir), d->d_name, LIME_BYTES_MAX, &f->data,
			      &f->len_bytes, err) < 0)
			return -1;
		memcpy(f->name, d->d_name, strlen(d->d_name) + 1);
		lime->count++;
	}
	if (errno != 0)
		return err_sys(err, errno, "reading the directory");
	qsort(lime->files, lime->count, sizeof(lime->files[0]), by_name);
	return 0;
}

static void digest_content(struct lime *lime)
{
	char lines[LIME_FILES_MAX][SHA256_HEX_SIZE + 68], hex[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;

	for (size_t i = 0; i < lime->count; i++) {
		file_digest(lime->files[i].data, lime->files[i].len_bytes, hex);
		snprintf(lines[i], sizeof(lines[i]), "%s  %s\n", hex,
			 lime->files[i].name);
	}
	qsort(lines, lime->count, sizeof(lines[0]), by_text);
	sha256_init(&ctx);
	for (size_t i = 0; i < lime->count; i++)
		sha256_update(&ctx, lines[i], strlen(lines[i]));
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, lime->sha256);
}

/* Every .c is an object of the one module; upstream's makefile would pick a kernel. */
static int write_kbuild(struct lime *lime, const char *module, struct err *err)
{
	size_t size = sizeof(lime->kbuild), len;

	len = (size_t)snprintf(lime->kbuild, size, "obj-m := %s.o\n%s-y :=", module,
			       module);
	for (size_t i = 0; i < lime->count; i++) {
		const char *name = lime->files[i].name;
		int stem = (int)strlen(name) - 2;

		if (name[stem + 1] != 'c')
			continue;
		if (len + (size_t)stem + 8 > size)
			return err_set(err, ERR_FAILED, "too many names");
		len += (size_t)snprintf(lime->kbuild + len, size - len, " %.*s.o", stem,
					name);
	}
	snprintf(lime->kbuild + len, size - len, "\n");
	return 0;
}

int lime_read(const char *dir, const char *name, const char *version, struct lime *lime,
	      struct err *err)
{
	DIR *d;
	int rc;

	memset(lime, 0, sizeof(*lime));
	if (strlen(version) >= sizeof(lime->version))
		return err_set(err, ERR_USAGE, "the LiME version is too long");
	memcpy(lime->version, version, strlen(version) + 1);
	d = opendir(dir);
	if (!d)
		return err_sys(err, errno, "opening %s", dir);
	rc = read_files(d, lime, err);
	closedir(d);
	if (rc == 0 && lime->count == 0)
		rc = err_set(err, ERR_FAILED, "no source");
	if (rc == 0)
		rc = write_kbuild(lime, name, err);
	if (rc < 0)
		return err_prefix(err, "the source of %s.ko in %s", name, dir);
	digest_content(lime);
	return 0;
}

void lime_free(struct lime *lime)
{
	for (size_t i = 0; i < lime->count; i++)
		free(lime->files[i].data);
	lime->count = 0;
}

static int write_new(int dirfd, const char *name, const char *data, size_t len,
		     struct err *err)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644),
	    rc = 0;

	if (fd < 0)
		return err_sys(err, errno, "making %s", name);
	if (io_pwrite(fd, data, len, 0) < 0)
		rc = err_sys(err, errno, "writing %s", name);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing %s", name);
	return rc;
}

int lime_write(const struct lime *lime, int dirfd, struct err *err)
{
	for (size_t i = 0; i < lime->count; i++) {
		if (write_new(dirfd, lime->files[i].name, lime->files[i].data,
			      lime->files[i].len_bytes, err) < 0)
			return -1;
	}
	return write_new(dirfd, "Kbuild", lime->kbuild, strlen(lime->kbuild), err);
}
