#include "toolkit/lib/dumpsyms.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/dumpview.h"
#include "toolkit/lib/findsyms.h"
#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/kernview.h"
#include "toolkit/lib/vmlinux.h"

#define PAGE_BYTES 4096
/*
 * kernel/vmcore_info.c writes the text from the beginning of a page on, and into a note,
 * which has a page too and begins with 12 bytes of ELF and "VMCOREINFO".
 */
#define NOTE_HEADER_BYTES 24
#define FIRST_LINE "OSRELEASE="
/* struct new_utsname: sysname, nodename, release, version, ... */
#define UTS_FIELD_BYTES 65
#define UTS_VERSION_FIELD 3
/* Data and bss stand behind the code, which always has symbols: 5 to 20 MiB. */
#define BEHIND_SYMBOLS (48u << 20)
/* What begins as BTF does and is none: of honest kernels there is nothing such. */
#define BTF_TRIES_MAX 64
/* Each may cost a search of a kernel's image: memory can be full of forgeries. */
#define CANDIDATES_MAX 64

static void forget(struct dumpsyms *syms)
{
	symtab_free(&syms->symbols);
	free(syms->btf);
	syms->btf = NULL;
	syms->btf_len = 0;
	syms->found = 0;
}

/*
 * Takes a banner of the right release, as far as its newline, if it ends with version
 * (NULL: not known). Returns false for another one.
 */
static bool take_banner(struct dumpsyms *syms, const char *text, size_t len,
			const char *version)
{
	const char *newline = memchr(text, '\n', len);
	size_t ends = version ? strlen(version) : 0, banner_len;
	char release[VMCOREINFO_RELEASE_MAX + 1];

	if (!newline || newline - text >= DUMPSYMS_BANNER_MAX - 1)
		return false;
	banner_len = (size_t)(newline - text) + 1;
	if (!vmlinux_release(text, banner_len, release, sizeof(release)) ||
	    strcmp(release, syms->info.release) != 0 || ends + 1 > banner_len ||
	    memcmp(newline - ends, version ? version : "", ends) != 0)
		return false;
	memcpy(syms->banner, text, banner_len);
	syms->banner[banner_len] = '\0';
	return true;
}

/*
 * What `uname -v` says, " #1 SMP ...", with a blank in front: the banner ends with it. An
 * image has another banner that does not: init/version.c's weak one, without the number.
 */
static bool uts_version(const struct dumpsyms *syms, struct kernview *view,
			char version[1 + UTS_FIELD_BYTES])
{
	struct err ignored;
	uint64_t uts, uts_off;

	version[0] = ' ';
	return vmcoreinfo_symbol(&syms->info, "init_uts_ns", &uts) &&
	       vmcoreinfo_number(&syms->info, "OFFSET(uts_namespace.name)", &uts_off) &&
	       kernview_read(view, uts + uts_off + UTS_VERSION_FIELD * UTS_FIELD_BYTES,
			     version + 1, UTS_FIELD_BYTES, &ignored) == 0 &&
	       memchr(version, '\0', 1 + UTS_FIELD_BYTES) && version[1];
}

/* The banner that was found at `at` in the loaded image becomes a symbol. */
static int add_banner(struct dumpsyms *syms, const struct kernview *view, const char *at,
		      struct err *err)
{
	static const char name[] = "linux_banner";
	const struct kernview_segment *image = &view->segments[0];
	uint64_t off = (uint64_t)((const unsigned char *)at - image->data);

	syms->found++;
	return symtab_add(&syms->symbols, name, sizeof(name) - 1, image->va + off, 'D',
			  err);
}

static int find_banner(struct dumpsyms *syms, struct kernview *view, struct err *err)
{
	const struct symtab_entry *symbol = symtab_find(&syms->symbols, "linux_banner");
	char version[1 + UTS_FIELD_BYTES];
	const char *at, *end;
	bool has_version;
	size_t len;

	if (symbol) {
		uint64_t left = kernview_left(view, symbol->addr);
		char text[DUMPSYMS_BANNER_MAX];

		len = left < sizeof(text) ? (size_t)left : sizeof(text);
		if (kernview_read(view, symbol->addr, text, len, err) < 0)
			return -1;
		if (!take_banner(syms, text, len, NULL))
			return err_set(err, ERR_FAILED,
				       "what stands at linux_banner is no banner of %s",
				       syms->info.release);
		return 0;
	}
	/* Without CONFIG_KALLSYMS_ALL no data have symbols. */
	if (kernview_load(view, err) < 0)
		return -1;
	has_version = uts_version(syms, view, version);
	at = (const char *)view->segments[0].data;
	end = at + view->segments[0].len_bytes;
	while ((at = vmlinux_find_banner(at, (size_t)(end - at), &len))) {
		if (take_banner(syms, at, len, has_version ? version : NULL))
			return add_banner(syms, view, at, err);
		at += len;
	}
	return err_set(err, ERR_FAILED, "the kernel has no banner of %s",
		       syms->info.release);
}

/* What of the dump is looked through ends not far behind the last symbol. */
static void bound_image(const struct dumpsyms *syms, struct kernview *view)
{
	struct kernview_segment *image = &view->segments[0];
	uint64_t last = 0;

	for (size_t i = 0; i < syms->symbols.count; i++) {
		uint64_t off = syms->symbols.entries[i].addr - image->va;

		if (off < image->len_bytes && off > last)
			last = off;
	}
	if (image->len_bytes - last > BEHIND_SYMBOLS)
		image->len_bytes = last + BEHIND_SYMBOLS;
}

/* Copies the BTF at va when it is len bytes long (0: as it says). Returns 1, 0 or -1. */
static int take_btf(struct dumpsyms *syms, struct kernview *view, uint64_t va, size_t len,
		    struct err *err)
{
	unsigned char *copy;
	struct btf btf;

	if (!len || len > BTF_BYTES_MAX || len > kernview_left(view, va))
		return 0;
	copy = malloc(len);
	if (!copy)
		return err_sys(err, ENOMEM, "%zu bytes of BTF", len);
	if (kernview_read(view, va, copy, len, err) < 0 ||
	    btf_measure(copy, len) != len || btf_open(&btf, copy, len, err) < 0) {
		free(copy);
		return 0;
	}
	btf_close(&btf);
	syms->btf = copy;
	syms->btf_len = len;
	return 1;
}

static int find_btf(struct dumpsyms *syms, struct kernview *view, struct err *err)
{
	const struct symtab_entry *start = symtab_find(&syms->symbols, "__start_BTF"),
				  *stop = symtab_find(&syms->symbols, "__stop_BTF");
	const struct kernview_segment *image = &view->segments[0];
	int rc, tries = 0;

	if (start && stop && stop->addr > start->addr) {
		rc = take_btf(syms, view, start->addr, stop->addr - start->addr, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	if (kernview_load(view, err) < 0)
		return -1;
	/* Aligned to a page since 5.11, to 8 before. */
	for (uint64_t at = 0; at + 8 <= image->len_bytes; at += 8) {
		size_t left = (size_t)(image->len_bytes - at);

		if (memcmp(image->data + at, BTF_MAGIC_BYTES,
			   sizeof(BTF_MAGIC_BYTES) - 1) != 0)
			continue;
		if (tries++ == BTF_TRIES_MAX)
			break;
		rc = take_btf(syms, view, image->va + at,
			      btf_measure(image->data + at, left), err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	return 0;
}

/* Without CONFIG_KALLSYMS_ALL no data have symbols: the ones that analysis begins with.
 */
static int find_data(struct dumpsyms *syms, struct kernview *view, struct err *err)
{
	struct btf btf;
	size_t found, exported = 0;
	int rc;

	if (!syms->btf || symtab_find(&syms->symbols, "init_task"))
		return 0;
	if (btf_open(&btf, syms->btf, syms->btf_len, err) < 0)
		return -1;
	rc = findsyms_add(view, &btf, &syms->symbols, &found, err);
	btf_close(&btf);
	if (rc == 0)
		rc = findsyms_exported(view, &syms->symbols, &exported, err);
	syms->found += rc == 0 ? found + exported : 0;
	return rc;
}

/* Does the text in ->info lead to a kernel? */
static int look_into(struct dumpsyms *syms, struct dumpview *dump, struct err *err)
{
	struct kernview view;
	int rc = -1;

	if (kernview_open_dump(&view, dump, &syms->info, err) < 0)
		return -1;
	if (kallsyms_find(&view, &syms->symbols, err) == 0) {
		symtab_sort(&syms->symbols);
		bound_image(syms, &view);
		if (find_banner(syms, &view, err) == 0 &&
		    find_btf(syms, &view, err) == 0 && find_data(syms, &view, err) == 0)
			rc = 0;
		symtab_sort(&syms->symbols);
	}
	kernview_close(&view);
	if (rc < 0)
		forget(syms);
	return rc;
}

/* The text at phys. Returns 1 when it is the kernel's, 0 with err when not. */
static int try_text(struct dumpsyms *syms, struct dumpview *dump, uint64_t phys,
		    struct err *err)
{
	char text[VMCOREINFO_MAX - 1];
	size_t len = sizeof(text), rest = PAGE_BYTES - phys % PAGE_BYTES;

	syms->candidates++;
	syms->info_phys = phys;
	/* It may go on into a second page, and stand in the last one. */
	if (dumpview_read(dump, phys, text, len, err) < 0) {
		len = rest;
		if (dumpview_read(dump, phys, text, len, err) < 0)
			return 0;
	}
	return vmcoreinfo_parse(&syms->info, text, len, err) == 0 &&
	       look_into(syms, dump, err) == 0;
}

/* Where a text may begin in a piece, from *phys on. Returns false when nowhere. */
static bool next_text(const struct decoder_piece *piece, uint64_t *phys)
{
	static const uint64_t places[] = { 0, NOTE_HEADER_BYTES };
	const uint64_t end = piece->phys + piece->len_bytes;
	const size_t len = sizeof(FIRST_LINE) - 1;

	for (uint64_t page = *phys / PAGE_BYTES * PAGE_BYTES;; page += PAGE_BYTES) {
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			uint64_t text = page + places[i];

			/* The page may begin before the piece does. */
			if (text < *phys)
				continue;
			if (text >= end || end - text < len)
				return false;
			if (memcmp(piece->data + (text - piece->phys), FIRST_LINE, len) ==
			    0) {
				*phys = text;
				return true;
			}
		}
	}
}

static int search(struct dumpsyms *syms, struct dumpview *dump, struct err *err)
{
	struct err why = { 0 };
	struct decoder_piece piece;
	uint64_t phys = 0;
	int more;

	while (syms->candidates < CANDIDATES_MAX &&
	       (more = dumpview_piece(dump, phys, &piece, err)) != 0) {
		if (more < 0)
			return -1;
		if (phys < piece.phys)
			phys = piece.phys;
		if (!next_text(&piece, &phys)) {
			phys = piece.phys + piece.len_bytes;
			continue;
		}
		if (try_text(syms, dump, phys, &why))
			return 0;
		phys++;
	}
	if (!syms->candidates)
		return err_set(err, ERR_FAILED,
			       "the image holds no VMCOREINFO: which kernel it is of "
			       "cannot be told");
	return err_set(err, ERR_FAILED,
		       "none of %u VMCOREINFO texts leads to a kernel; the last one, at "
		       "0x%" PRIx64 ": %s",
		       syms->candidates, syms->info_phys, why.text);
}

int dumpsyms_open(struct dumpsyms *syms, int fd, const struct decoder_ops *ops,
		  struct err *err)
{
	struct dumpview dump;
	int rc = -1;

	*syms = (struct dumpsyms){ 0 };
	if (dumpview_open(&dump, fd, ops, err) == 0)
		rc = search(syms, &dump, err);
	dumpview_close(&dump);
	return rc;
}

void dumpsyms_close(struct dumpsyms *syms)
{
	forget(syms);
}
