#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/package.h"
#include "toolkit/lib/tarfile.h"
#include "toolkit/symbols/symbols.h"

/* Larger than a kernel of any distribution, and than what they say of themselves. */
#define KERNEL_MAX (512u << 20)
#define TEXT_MAX (64u << 20)
#define ARCHIVE_MAX (256u << 20)
#define SYSTEM_MAP_LEAST (64u << 10)

static void keep(struct loaded *loaded, char *data)
{
	loaded->files[loaded->files_count++] = data;
}

/* Frees what was kept last. */
static void drop(struct loaded *loaded)
{
	free(loaded->files[--loaded->files_count]);
}

char *load_file(struct loaded *loaded, int dirfd, const char *path, size_t max_bytes,
		size_t *len, struct err *err)
{
	int fd = io_open_direct(dirfd, path, true, err);
	char *data;

	if (fd < 0)
		return NULL;
	data = io_read_direct(fd, max_bytes, len, err);
	io_close(&fd);
	if (data)
		keep(loaded, data);
	else
		err_prefix(err, "%.200s", path);
	return data;
}

/* The kernel is the file that was loaded last: it goes when it was unpacked. */
static int use_kernel(const char *data, size_t len, const char *system_map,
		      size_t system_map_len, struct loaded *loaded, struct err *err)
{
	if (vmlinux_open(&loaded->kernel, data, len, err) < 0)
		return -1;
	if (loaded->kernel.map)
		drop(loaded);
	return symbolfile_from_kernel(&loaded->parts, &loaded->kernel, system_map,
				      system_map_len, err);
}

static int load_vmlinux(const struct options *opt, const char *system_map,
			size_t system_map_len, struct loaded *loaded, struct err *err)
{
	size_t len;
	char *data = load_file(loaded, AT_FDCWD, opt->vmlinux, KERNEL_MAX, &len, err);

	if (!data)
		return -1;
	if (use_kernel(data, len, system_map, system_map_len, loaded, err) < 0)
		return err_prefix(err, "%.200s", opt->vmlinux);
	return 0;
}

static int load_package(const struct options *opt, const char *system_map,
			size_t system_map_len, struct loaded *loaded, struct err *err)
{
	/* Debian before and since 7.x, Ubuntu, Red Hat, Amazon, SUSE. */
	static const char *const kernels[] = { "boot/vmlinuz-*",
					       "lib/modules/*/vmlinuz",
					       "usr/lib/modules/*/vmlinuz",
					       "boot/Image-*",
					       "lib/modules/*/Image",
					       "usr/lib/modules/*/Image",
					       NULL };
	static const char *const maps[] = { "boot/System.map-*",
					    "lib/modules/*/System.map",
					    "usr/lib/modules/*/System.map", NULL };
	struct package_file files[] = {
		{ .patterns = kernels, .max_bytes = KERNEL_MAX },
		{ .patterns = maps, .max_bytes = TEXT_MAX },
	};
	struct stat st;
	int fd = open(opt->package, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	if (fd < 0)
		return err_sys(err, errno, "opening %.200s", opt->package);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		io_close(&fd);
		return err_set(err, ERR_FAILED, "%.200s is not a regular file",
			       opt->package);
	}
	rc = package_read(fd, files, 2, err);
	io_close(&fd);
	if (files[1].data)
		keep(loaded, (char *)files[1].data);
	if (files[0].data)
		keep(loaded, (char *)files[0].data);
	if (rc == 0 && !files[0].data)
		rc = err_set(err, ERR_FAILED, "there is no kernel in it");
	if (rc == 0 && !system_map) {
		system_map = (char *)files[1].data;
		system_map_len = files[1].len;
	}
	if (rc == 0)
		rc = use_kernel((char *)files[0].data, files[0].len, system_map,
				system_map_len, loaded, err);
	return rc < 0 ? err_prefix(err, "%.200s", opt->package) : 0;
}

/* Where the files of a bundle are: in the archive that capture writes, or unpacked. */
struct bundle_place {
	int dirfd; /* -1: in the archive */
	char *archive;
	size_t archive_len;
};

/* A file of the bundle, to be freed with loaded. *missing, which may be NULL, receives
 * whether there is none, which is then no error: NULL is returned and err untouched. */
static char *bundle_file(const struct bundle_place *place, struct loaded *loaded,
			 const char *name, size_t max_bytes, size_t *len, bool *missing,
			 struct err *err)
{
	char path[TARFILE_NAME_MAX + 1], *copy;
	const void *data;
	int found;

	if (place->dirfd >= 0) {
		if (missing && (*missing = faccessat(place->dirfd, name, F_OK, 0) < 0))
			return NULL;
		return load_file(loaded, place->dirfd, name, max_bytes, len, err);
	}
	snprintf(path, sizeof(path), "symbols/%s", name);
	found = tarfile_find(place->archive, place->archive_len, path, &data, len);
	if (missing && (*missing = found == 0))
		return NULL;
	if (found < 0)
		err_set(err, ERR_FAILED, "it is no tar archive, or a damaged one");
	else if (!found)
		err_set(err, ERR_FAILED, "it holds no %s", path);
	else if (*len > max_bytes)
		err_set(err, ERR_FAILED, "%s is larger than %zu bytes", path, max_bytes);
	if (found <= 0 || *len > max_bytes)
		return NULL;
	copy = malloc(*len + 1);
	if (!copy) {
		err_sys(err, ENOMEM, "reading %s", path);
		return NULL;
	}
	memcpy(copy, data, *len);
	copy[*len] = '\0';
	keep(loaded, copy);
	return copy;
}

static int read_bundle(const struct bundle_place *place, struct symbolfile_bundle *bundle,
		       bool need_btf, struct loaded *loaded, struct err *err)
{
	bool missing;

	bundle->kallsyms = bundle_file(place, loaded, "kallsyms", TEXT_MAX,
				       &bundle->kallsyms_len, NULL, err);
	if (!bundle->kallsyms)
		return -1;
	bundle->version = bundle_file(place, loaded, "version", 4096,
				      &bundle->version_len, NULL, err);
	if (!bundle->version)
		return -1;
	if (need_btf) {
		bundle->btf = bundle_file(place, loaded, "btf", BTF_BYTES_MAX,
					  &bundle->btf_len, NULL, err);
		if (!bundle->btf)
			return -1;
	}
	/* Capture says so in its record when the kernel has none. */
	bundle->vmcoreinfo = bundle_file(place, loaded, "vmcoreinfo", 65536,
					 &bundle->vmcoreinfo_len, &missing, err);
	return bundle->vmcoreinfo || missing ? 0 : -1;
}

static int open_bundle(const char *path, struct bundle_place *place, struct err *err)
{
	int fd;

	place->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->dirfd >= 0)
		return 0;
	if (errno != ENOTDIR)
		return err_sys(err, errno, "opening %.200s", path);
	fd = io_open_direct(AT_FDCWD, path, true, err);
	if (fd < 0)
		return -1;
	place->archive = io_read_direct(fd, ARCHIVE_MAX, &place->archive_len, err);
	io_close(&fd);
	return place->archive ? 0 : err_prefix(err, "%.200s", path);
}

static int load_bundle(const struct options *opt, struct loaded *loaded, struct err *err)
{
	struct symbolfile_bundle bundle = { 0 };
	struct bundle_place place = { .dirfd = -1 };
	int rc;

	if (open_bundle(opt->bundle, &place, err) < 0)
		return -1;
	rc = read_bundle(&place, &bundle, !opt->types_module, loaded, err);
	if (rc == 0)
		rc = symbolfile_from_bundle(&loaded->parts, &bundle, err);
	io_close(&place.dirfd);
	free(place.archive);
	return rc < 0 ? err_prefix(err, "%.200s", opt->bundle) : 0;
}

int load_source(const struct options *opt, struct loaded *loaded, struct err *err)
{
	char *system_map = NULL;
	size_t len = 0;
	int rc;

	if (opt->system_map) {
		system_map =
			load_file(loaded, AT_FDCWD, opt->system_map, TEXT_MAX, &len, err);
		if (!system_map)
			return -1;
		/* Asked for by name, a packager's note must not pass for it. */
		if (len < SYSTEM_MAP_LEAST)
			return err_set(err, ERR_FAILED,
				       "%.200s: %zu bytes are no System.map",
				       opt->system_map, len);
	}
	if (opt->package)
		rc = load_package(opt, system_map, len, loaded, err);
	else if (opt->vmlinux)
		rc = load_vmlinux(opt, system_map, len, loaded, err);
	else if (opt->bundle)
		rc = load_bundle(opt, loaded, err);
	else
		rc = load_dump(opt->dump, opt->format, loaded, err);
	if (rc == 0 && opt->types_module)
		rc = load_types_module(opt->types_module, loaded, err);
	return rc;
}

void loaded_free(struct loaded *loaded)
{
	symbolfile_free(&loaded->parts);
	vmlinux_close(&loaded->kernel);
	while (loaded->files_count)
		drop(loaded);
}
