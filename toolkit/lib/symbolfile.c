#include "toolkit/lib/symbolfile.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/findsyms.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/kernview.h"
#include "toolkit/lib/vmcoreinfo.h"
#include "toolkit/lib/xzfile.h"

/* A System.map with fewer is a note that it is elsewhere (Debian's is one line). */
#define SYSTEM_MAP_LEAST 1000
/* __START_KERNEL_map + CONFIG_PHYSICAL_START: where x86_64 links _text. */
#define X86_64_TEXT 0xffffffff81000000u

/* Copies a banner, which need not end with a newline. Returns false when it is none. */
static bool set_banner(struct symbolfile_parts *parts, const char *text, size_t len)
{
	const char *found;

	len = strnlen(text, len);
	while (len && text[len - 1] == '\n')
		len--;
	if (len + 1 >= sizeof(parts->banner_copy))
		return false;
	memcpy(parts->banner_copy, text, len);
	parts->banner_copy[len] = '\n';
	found = vmlinux_find_banner(parts->banner_copy, len + 1, &parts->banner_len);
	parts->banner = found == parts->banner_copy ? found : NULL;
	return parts->banner;
}

static void set_build_id(struct symbolfile_parts *parts, const struct vmlinux *kernel)
{
	for (size_t i = 0; i < kernel->build_id_len; i++)
		snprintf(parts->build_id + 2 * i, 3, "%02x", kernel->build_id[i]);
}

/* The banner that linux_banner names, rather than the first that looks like one. */
static void read_banner(struct symbolfile_parts *parts, struct kernview *view)
{
	const struct symtab_entry *entry = symtab_find(&parts->symbols, "linux_banner");
	char text[VMLINUX_BANNER_MAX - 2];
	struct err ignored;
	uint64_t left;

	if (!entry)
		return;
	left = kernview_left(view, entry->addr);
	if (left > sizeof(text))
		left = sizeof(text);
	if (kernview_read(view, entry->addr, text, left, &ignored) == 0)
		set_banner(parts, text, (size_t)left);
}

/*
 * Where the kernel's own table leaves the banner out (it has functions alone), its
 * address follows from where it stands.
 */
static int add_banner(struct symbolfile_parts *parts, const struct vmlinux *kernel,
		      const struct kernview *view, struct err *err)
{
	const unsigned char *at = (const unsigned char *)kernel->banner;

	if (!at || symtab_find(&parts->symbols, "linux_banner"))
		return 0;
	for (size_t i = 0; i < view->count; i++) {
		const struct kernview_segment *segment = &view->segments[i];

		if (segment->data && at >= segment->data &&
		    at < segment->data + segment->len_bytes)
			return symtab_add(&parts->symbols, "linux_banner", 12,
					  segment->va + (uint64_t)(at - segment->data),
					  'D', err);
	}
	return 0;
}

/* VMCOREINFO tells a few of those that the kernel's own table may leave out. */
static int add_told(struct symbolfile_parts *parts, const struct vmcoreinfo *info,
		    struct err *err)
{
	/* Where the table is whole there is nothing to add but other names: x86_64 tells
	 * init_top_pgt as swapper_pg_dir. */
	if (symtab_find(&parts->symbols, "init_task"))
		return 0;
	for (size_t i = 0; i < isf_known_count; i++) {
		const char *name = isf_known[i].symbol;
		uint64_t addr;

		/* Of mem_section it tells where it points to (VMCOREINFO_SYMBOL_ARRAY of
		 * what is a pointer), and no address of its own. */
		if (strcmp(name, "mem_section") == 0 ||
		    symtab_find(&parts->symbols, name) ||
		    !vmcoreinfo_symbol(info, name, &addr))
			continue;
		if (symtab_add(&parts->symbols, name, strlen(name), addr, 'D', err) < 0)
			return -1;
		symtab_sort(&parts->symbols);
	}
	return 0;
}

static int read_symbols(struct symbolfile_parts *parts, const struct vmlinux *kernel,
			const char *system_map, size_t system_map_len, struct err *err)
{
	struct kernview view = { 0 };
	size_t exported;
	int rc;

	if (system_map &&
	    (symtab_parse_text(&parts->symbols, system_map, system_map_len, err) < 0 ||
	     parts->symbols.count < SYSTEM_MAP_LEAST))
		symtab_free(&parts->symbols);
	rc = kernel->elf ? kernview_open_elf(&view, kernel->data, kernel->len, err)
			 : kernview_open_image(&view, kernel->data, kernel->len, err);
	if (rc == 0 && !parts->symbols.count)
		rc = kallsyms_find(&view, &parts->symbols, err);
	if (rc == 0) {
		symtab_sort(&parts->symbols);
		read_banner(parts, &view);
		rc = add_banner(parts, kernel, &view, err);
		if (rc == 0 && !symtab_find(&parts->symbols, "init_task"))
			rc = findsyms_exported(&view, &parts->symbols, &exported, err);
		symtab_sort(&parts->symbols);
	}
	kernview_close(&view);
	return rc < 0 ? err_prefix(err, "the kernel's symbols") : 0;
}

int symbolfile_from_kernel(struct symbolfile_parts *parts, const struct vmlinux *kernel,
			   const char *system_map, size_t system_map_len, struct err *err)
{
	parts->btf = kernel->btf;
	parts->btf_len = kernel->btf_len;
	parts->machine = kernel->machine;
	parts->banner = kernel->banner;
	parts->banner_len = kernel->banner_len;
	set_build_id(parts, kernel);
	if (read_symbols(parts, kernel, system_map, system_map_len, err) < 0)
		return -1;
	if (!parts->banner) {
		parts->banner = kernel->banner;
		parts->banner_len = kernel->banner_len;
	}
	return 0;
}

/* From an address that x86_64 fixes, when there is no VMCOREINFO that tells. */
static uint64_t guess_shift(const struct symtab *symbols)
{
	const struct symtab_entry *text = symtab_find(symbols, "_text");
	uint64_t shift = text ? text->addr - X86_64_TEXT : 0;

	/* KASLR moves it by 2 MiB steps within 1 GiB. */
	return shift < 1u << 30 && shift % (2u << 20) == 0 ? shift : 0;
}

int symbolfile_from_told(struct symbolfile_parts *parts, const struct vmcoreinfo *info,
			 const char *banner, size_t banner_len, struct err *err)
{
	if (add_told(parts, info, err) < 0)
		return -1;
	parts->kaslr_shift = info->kaslr_shift;
	parts->machine = info->machine == VMCOREINFO_AARCH64 ? EM_AARCH64 : EM_X86_64;
	snprintf(parts->build_id, sizeof(parts->build_id), "%.*s",
		 (int)sizeof(parts->build_id) - 1, info->build_id);
	symtab_unshift(&parts->symbols, parts->kaslr_shift);
	symtab_sort(&parts->symbols);
	if (!set_banner(parts, banner, banner_len))
		return err_set(err, ERR_FAILED, "version: not a kernel's banner");
	return 0;
}

int symbolfile_from_bundle(struct symbolfile_parts *parts,
			   const struct symbolfile_bundle *bundle, struct err *err)
{
	static struct vmcoreinfo info;

	parts->btf = (const unsigned char *)bundle->btf;
	parts->btf_len = bundle->btf_len;
	if (symtab_parse_text(&parts->symbols, bundle->kallsyms, bundle->kallsyms_len,
			      err) < 0)
		return err_prefix(err, "kallsyms");
	symtab_sort(&parts->symbols);
	if (bundle->vmcoreinfo) {
		if (vmcoreinfo_parse(&info, bundle->vmcoreinfo, bundle->vmcoreinfo_len,
				     err) < 0)
			return err_prefix(err, "vmcoreinfo");
		return symbolfile_from_told(parts, &info, bundle->version,
					    bundle->version_len, err);
	}
	parts->kaslr_shift = guess_shift(&parts->symbols);
	symtab_unshift(&parts->symbols, parts->kaslr_shift);
	if (!set_banner(parts, bundle->version, bundle->version_len))
		return err_set(err, ERR_FAILED, "version: not a kernel's banner");
	return 0;
}

/* Who catches signals does so to leave no half of a file behind. */
static int stopped(struct err *err)
{
	return err_set(err, ERR_FAILED, "ended by a signal");
}

static int put_xz(void *context, const void *data, size_t len, struct err *err)
{
	return interrupted ? stopped(err) : xzfile_put(context, data, len, err);
}

static int put_plain(void *context, const void *data, size_t len, struct err *err)
{
	const char *from = data;
	int fd = *(int *)context;

	if (interrupted)
		return stopped(err);
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "writing the symbol file");
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_packed(const struct isf_input *input, int fd,
			struct symbolfile_report *report, struct err *err)
{
	struct xzfile *xz = xzfile_new(fd, err);
	int rc = -1;

	if (!xz)
		return -1;
	rc = isf_write(input, put_xz, xz, &report->isf, err);
	if (rc == 0)
		rc = xzfile_finish(xz, &report->file_bytes, err);
	xzfile_free(xz);
	return rc;
}

int symbolfile_write_fd(struct symbolfile_parts *parts, int fd, bool plain,
			struct symbolfile_report *report, struct err *err)
{
	struct isf_input input = { .symbols = &parts->symbols,
				   .banner = parts->banner,
				   .banner_len = parts->banner_len,
				   .all = parts->all };
	struct btf btf;
	int rc;

	*report = (struct symbolfile_report){ 0 };
	if (!parts->btf)
		return err_set(err, ERR_FAILED,
			       "the kernel has no BTF: its types must come from a module "
			       "with debugging information");
	if (!parts->banner || !vmlinux_release(parts->banner, parts->banner_len,
					       report->release, sizeof(report->release)))
		return err_set(err, ERR_FAILED, "the kernel has no banner");
	snprintf(report->banner, sizeof(report->banner), "%.*s",
		 (int)parts->banner_len - 1, parts->banner);
	memcpy(report->build_id, parts->build_id, sizeof(report->build_id));
	report->machine = parts->machine;
	if (btf_open(&btf, parts->btf, parts->btf_len, err) < 0)
		return err_prefix(err, "the kernel's types");
	input.btf = &btf;
	symtab_sort(&parts->symbols);
	if (plain) {
		rc = isf_write(&input, put_plain, &fd, &report->isf, err);
		report->file_bytes = report->isf.json_bytes;
	} else {
		rc = write_packed(&input, fd, report, err);
	}
	btf_close(&btf);
	return rc;
}

int symbolfile_write(struct symbolfile_parts *parts, int dirfd, const char *name,
		     bool plain, struct symbolfile_report *report, struct err *err)
{
	char partial[NAME_MAX + 1];
	int fd, n = snprintf(partial, sizeof(partial), "%s.partial", name);

	if (n < 0 || (size_t)n >= sizeof(partial))
		return err_set(err, ERR_USAGE, "%.200s: the name is too long", name);
	if (io_replaceable(dirfd, name, err) < 0)
		return -1;
	fd = openat(dirfd, partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return err_sys(err, errno, "making %.200s", partial);
	if (symbolfile_write_fd(parts, fd, plain, report, err) < 0)
		goto fail;
	if (fsync(fd) < 0) {
		err_sys(err, errno, "writing %.200s", partial);
		goto fail;
	}
	n = close(fd);
	fd = -1;
	if (n < 0 || renameat(dirfd, partial, dirfd, name) < 0) {
		err_sys(err, errno, "writing %.200s", name);
		goto fail;
	}
	return io_sync_dir(dirfd, err);
fail:
	io_close(&fd);
	unlinkat(dirfd, partial, 0);
	return -1;
}

void symbolfile_free(struct symbolfile_parts *parts)
{
	symtab_free(&parts->symbols);
}
