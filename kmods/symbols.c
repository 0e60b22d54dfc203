#include "kmods/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/image.h"
#include "kmods/store.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/symbolfile.h"
#include "toolkit/lib/vmlinux.h"

bool symbols_key(const struct recipe *recipe, const struct kernel *kernel,
		 char key[SHA256_HEX_SIZE])
{
	char text[256];

	if (!kernel->image)
		return false;
	snprintf(text, sizeof(text), "symbols %s %s", recipe->program,
		 kernel->image->package.sha256);
	file_digest(text, strlen(text), key);
	return true;
}

void symbols_take(struct module *module, const struct module *entry)
{
	memcpy(module->kernel_build_id, entry->kernel_build_id,
	       sizeof(module->kernel_build_id));
	memcpy(module->symbols_sha256, entry->symbols_sha256,
	       sizeof(module->symbols_sha256));
	module->symbols_bytes = entry->symbols_bytes;
}

static int write_file(const struct kernel *kernel, const struct vmlinux *vmlinux,
		      int dirfd, struct module *module, struct err *err)
{
	struct symbolfile_parts parts = { 0 };
	struct symbolfile_report report;
	int rc = -1;

	if (symbolfile_from_kernel(&parts, vmlinux, NULL, 0, err) < 0)
		goto out;
	if (parts.machine != kernel->arch->machine) {
		err_set(err, ERR_FAILED, "it is not a kernel for %s", kernel->arch->name);
		goto out;
	}
	if (symbolfile_write(&parts, dirfd, SYMBOLS_FILE, false, &report, err) < 0)
		goto out;
	if (strcmp(report.release, kernel->release) != 0) {
		err_set(err, ERR_FAILED, "it is the kernel %.64s", report.release);
		goto out;
	}
	snprintf(module->kernel_build_id, sizeof(module->kernel_build_id), "%s",
		 parts.build_id);
	rc = 0;
out:
	symbolfile_free(&parts);
	return rc;
}

/* In the empty directory dirfd. */
static int build_in(const struct recipe *r, const struct kernel *kernel, const char *key,
		    int dirfd, struct module *entry, struct err *err)
{
	unsigned char *data = NULL;
	struct vmlinux vmlinux;
	char *text = NULL;
	size_t len;
	int rc = -1;

	if (image_read(kernel, r->packages, &data, &len, err) < 0)
		goto out;
	if (vmlinux_open(&vmlinux, data, len, err) < 0)
		goto out;
	rc = write_file(kernel, &vmlinux, dirfd, entry, err);
	vmlinux_close(&vmlinux);
	if (rc < 0 ||
	    file_read(dirfd, SYMBOLS_FILE, SYMBOLS_BYTES_MAX, &text, &len, err) < 0) {
		rc = -1;
		goto out;
	}
	file_digest(text, len, entry->symbols_sha256);
	entry->symbols_bytes = len;
	/* A catalogue's entry has the hash of a module; here it stands for nothing. */
	memcpy(entry->sha256, entry->symbols_sha256, sizeof(entry->sha256));
	rc = store_put(r->storefd, key, SYMBOLS_FILE, text, len, entry, err);
out:
	free(data);
	free(text);
	return rc;
}

int symbols_build(const struct recipe *recipe, const struct kernel *kernel,
		  const char *key, struct module *module, struct err *err)
{
	struct module entry = { .size_bytes = 0 };
	char rel[NAME_MAX + 1];
	struct err ignored;
	int dirfd, rc = -1;

	memcpy(entry.arch, module->arch, sizeof(entry.arch));
	memcpy(entry.release, module->release, sizeof(entry.release));
	snprintf(rel, sizeof(rel), "%s-%s.symbols", kernel->arch->name, kernel->release);
	if (tree_remove(recipe->trees->fd, rel, err) < 0 ||
	    io_mkdir(recipe->trees->fd, rel, 0755, err) < 0)
		return -1;
	dirfd = openat(recipe->trees->fd, rel,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		err_sys(err, errno, "opening %s", rel);
	else
		rc = build_in(recipe, kernel, key, dirfd, &entry, err);
	io_close(&dirfd);
	tree_remove(recipe->trees->fd, rel, &ignored);
	if (rc < 0)
		return err_prefix(err, "its symbol file");
	symbols_take(module, &entry);
	return 0;
}
