#include "kmods/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/tree.h"

int check_ko(const void *data, size_t len_bytes, const struct arch *arch,
	     const char *release, struct modinfo *info, struct err *err)
{
	size_t word;

	if (modinfo_read(data, len_bytes, info, err) < 0) {
		/* For who asks whether it is the right one, that is a no as well. */
		err->kind = ERR_NO;
		return -1;
	}
	word = strcspn(info->vermagic, " ");
	if (info->machine != arch->machine)
		return err_set(err, ERR_NO, "it is for ELF machine %u, not %s",
			       info->machine, arch->name);
	if (word != strlen(release) || memcmp(info->vermagic, release, word) != 0)
		return err_set(err, ERR_NO, "it is for the kernel %.*s, not %s",
			       (int)word, info->vermagic, release);
	if (strcmp(info->name, "lime") != 0)
		return err_set(err, ERR_NO, "it calls itself %s", info->name);
	return 0;
}

/* Reads ARCH/RELEASE/file through no link, and compares size and hash. */
static int read_checked(int dirfd, const struct module *module, const char *file,
			size_t max, uint64_t size_bytes, const char *sha256, char **data,
			size_t *len_bytes, struct err *err)
{
	char path[TREE_PATH_SIZE], name[NAME_MAX + 1], hex[SHA256_HEX_SIZE];
	struct stat st;
	int dir, rc = -1;

	*data = NULL;
	snprintf(path, sizeof(path), "%s/%s/%s", module->arch, module->release, file);
	dir = tree_parent(dirfd, path, false, name, err);
	if (dir < 0)
		goto fail;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		err_sys(err, errno, "examining it");
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_NO, "it is not a regular file");
	else
		rc = file_read(dir, name, max, data, len_bytes, err);
	close(dir);
	if (rc < 0)
		goto fail;
	file_digest(*data, *len_bytes, hex);
	if (*len_bytes == size_bytes && strcmp(hex, sha256) == 0)
		return 0;
	err_set(err, ERR_NO,
		"it has %zu bytes and SHA-256 %s, the catalogue says %llu and %s",
		*len_bytes, hex, (unsigned long long)size_bytes, sha256);
fail:
	free(*data);
	*data = NULL;
	return err_prefix(err, "%s", path);
}

static int same_text(const char *what, const char *has, const char *says, struct err *err)
{
	if (strcmp(has, says) == 0)
		return 0;
	return err_set(err, ERR_NO, "its %s is \"%s\", the catalogue says \"%s\"", what,
		       has, says);
}

int check_module(int dirfd, const struct module *module, char **data, size_t *len_bytes,
		 struct err *err)
{
	struct modinfo info;

	if (read_checked(dirfd, module, MODULE_FILE, MODULE_BYTES_MAX, module->size_bytes,
			 module->sha256, data, len_bytes, err) < 0)
		return -1;
	if (check_ko(*data, *len_bytes, arch_find(module->arch), module->release, &info,
		     err) == 0 &&
	    same_text("vermagic", info.vermagic, module->vermagic, err) == 0 &&
	    same_text("srcversion", info.srcversion, module->srcversion, err) == 0 &&
	    same_text("build id", info.build_id, module->build_id, err) == 0)
		return 0;
	free(*data);
	*data = NULL;
	return err_prefix(err, "%s/%s/%s", module->arch, module->release, MODULE_FILE);
}

int check_symbols(int dirfd, const struct module *module, char **data, size_t *len_bytes,
		  struct err *err)
{
	static const char magic[] = "\xfd"
				    "7zXZ";

	if (read_checked(dirfd, module, SYMBOLS_FILE, SYMBOLS_BYTES_MAX,
			 module->symbols_bytes, module->symbols_sha256, data, len_bytes,
			 err) < 0)
		return -1;
	if (*len_bytes > sizeof(magic) && memcmp(*data, magic, sizeof(magic)) == 0)
		return 0;
	free(*data);
	*data = NULL;
	return err_set(err, ERR_NO, "%s/%s/%s: it is not xz", module->arch,
		       module->release, SYMBOLS_FILE);
}
