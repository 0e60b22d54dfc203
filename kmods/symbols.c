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

static void feed(struct sha256 *ctx, const char *text)
{
	sha256_update(ctx, text, strlen(text));
	sha256_update(ctx, "\n", 1);
}

void symbols_keys_of(const struct recipe *recipe, const struct kernel *kernel,
		     const struct module *module, struct symbols_keys *keys)
{
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;
	char text[256];

	memset(keys, 0, sizeof(*keys));
	if (!kernel->image)
		return;
	snprintf(text, sizeof(text), "symbols %s %s", recipe->program,
		 kernel->image->package.sha256);
	file_digest(text, strlen(text), keys->btf);
	if (!recipe->types)
		return;
	sha256_init(&ctx);
	feed(&ctx, keys->btf);
	feed(&ctx, recipe->types->sha256);
	feed(&ctx, module->compiler);
	feed(&ctx, recipe->pahole);
	for (size_t i = 0; i < module->package_count; i++)
		feed(&ctx, module->packages[i].sha256);
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, keys->module);
}

const char *symbols_key(const struct symbols_keys *keys, const struct module *module)
{
	return module->symbols_from_module ? keys->module : keys->btf;
}

/* Copies what a store's entry says of symbols and kernel into a module's. */
static void take(struct module *module, const struct module *entry)
{
	memcpy(module->kernel_build_id, entry->kernel_build_id,
	       sizeof(module->kernel_build_id));
	memcpy(module->symbols_sha256, entry->symbols_sha256,
	       sizeof(module->symbols_sha256));
	module->symbols_bytes = entry->symbols_bytes;
	module->symbols_from_module = entry->symbols_from_module;
}

void symbols_forget(struct module *module)
{
	static const struct module none;

	take(module, &none);
}

int symbols_find(int storefd, const struct symbols_keys *keys, struct module *module,
		 struct err *err)
{
	const char *const both[] = { keys->btf, keys->module };
	struct module entry;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		if (!both[i][0])
			continue;
		rc = store_get(storefd, both[i], SYMBOLS_FILE, module->arch,
			       module->release, &entry, err);
		/* Says an entry that it is the other's, it is not what it was put in as.
		 */
		if (rc > 0 && entry.symbols_from_module != (i == 1))
			rc = 0;
	}
	if (rc > 0)
		take(module, &entry);
	return rc;
}

/* Gives parts the types of a module; they are freed by the caller, too. */
static int take_types(const struct recipe *r, const struct kernel *kernel,
		      struct symbolfile_parts *parts, char **btf, struct err *err)
{
	if (kernel_types(r, kernel, btf, &parts->btf_len, err) < 0)
		return err_prefix(err, "it has no BTF, and of its types module");
	parts->btf = (unsigned char *)*btf;
	return 0;
}

static int write_file(const struct recipe *r, const struct kernel *kernel,
		      const struct vmlinux *vmlinux, int dirfd, struct module *module,
		      struct err *err)
{
	struct symbolfile_parts parts = { 0 };
	struct symbolfile_report report;
	char *btf = NULL, *map = NULL;
	size_t map_len = 0;
	int rc = -1;

	module->symbols_from_module = !vmlinux->btf && r->types;
	/* Kernels without BTF may be of before 4.20, whose own table is not read. */
	if (module->symbols_from_module &&
	    image_read_map(kernel, r->packages, &map, &map_len, err) < 0)
		goto out;
	if (symbolfile_from_kernel(&parts, vmlinux, map, map_len, err) < 0)
		goto out;
	if (parts.machine != kernel->arch->machine) {
		err_set(err, ERR_FAILED, "it is not a kernel for %s", kernel->arch->name);
		goto out;
	}
	if (module->symbols_from_module && take_types(r, kernel, &parts, &btf, err) < 0)
		goto out;
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
	free(btf);
	free(map);
	return rc;
}

/* In the empty directory dirfd. */
static int build_in(const struct recipe *r, const struct kernel *kernel,
		    const struct symbols_keys *keys, int dirfd, struct module *entry,
		    struct err *err)
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
	rc = write_file(r, kernel, &vmlinux, dirfd, entry, err);
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
	rc = store_put(r->storefd, symbols_key(keys, entry), SYMBOLS_FILE, text, len,
		       entry, err);
out:
	free(data);
	free(text);
	return rc;
}

int symbols_build(const struct recipe *recipe, const struct kernel *kernel,
		  const struct symbols_keys *keys, struct module *module, struct err *err)
{
	struct module entry = { .size_bytes = 0 };
	char rel[NAME_MAX + 1];
	struct err ignored;
	int dirfd, rc;

	memcpy(entry.arch, module->arch, sizeof(entry.arch));
	memcpy(entry.release, module->release, sizeof(entry.release));
	snprintf(rel, sizeof(rel), "%s-%s.symbols", kernel->arch->name, kernel->release);
	dirfd = tree_new_dir(recipe->trees->fd, rel, err);
	if (dirfd < 0)
		return -1;
	rc = build_in(recipe, kernel, keys, dirfd, &entry, err);
	io_close(&dirfd);
	tree_remove(recipe->trees->fd, rel, &ignored);
	if (rc < 0)
		return err_prefix(err, "its symbol file");
	take(module, &entry);
	return 0;
}
