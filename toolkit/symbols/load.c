#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/package.h"
#include "toolkit/symbols/symbols.h"

/* Larger than a kernel of any distribution, and than what they say of themselves. */
#define KERNEL_MAX (512u << 20)
#define TEXT_MAX (64u << 20)
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

static int read_bundle(int dirfd, struct symbolfile_bundle *bundle, bool need_btf,
		       struct loaded *loaded, struct err *err)
{
	struct err why;

	bundle->kallsyms = load_file(loaded, dirfd, "kallsyms", TEXT_MAX,
				     &bundle->kallsyms_len, err);
	if (!bundle->kallsyms)
		return -1;
	bundle->version =
		load_file(loaded, dirfd, "version", 4096, &bundle->version_len, err);
	if (!bundle->version)
		return -1;
	if (need_btf) {
		bundle->btf = load_file(loaded, dirfd, "btf", BTF_BYTES_MAX,
					&bundle->btf_len, err);
		if (!bundle->btf)
			return -1;
	}
	/* Capture says so in its record when the kernel has none. */
	if (faccessat(dirfd, "vmcoreinfo", F_OK, 0) < 0)
		return 0;
	bundle->vmcoreinfo = load_file(loaded, dirfd, "vmcoreinfo", 65536,
				       &bundle->vmcoreinfo_len, &why);
	if (!bundle->vmcoreinfo)
		*err = why;
	return bundle->vmcoreinfo ? 0 : -1;
}

static int load_bundle(const struct options *opt, struct loaded *loaded, struct err *err)
{
	struct symbolfile_bundle bundle = { 0 };
	int dirfd = open(opt->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (dirfd < 0)
		return err_sys(err, errno, "opening %.200s", opt->bundle);
	rc = read_bundle(dirfd, &bundle, !opt->types_module, loaded, err);
	if (rc == 0)
		rc = symbolfile_from_bundle(&loaded->parts, &bundle, err);
	io_close(&dirfd);
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
