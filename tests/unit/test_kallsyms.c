/* The symbols of a kernel: made-up images of every form, whole, damaged and hostile. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/fakekernel.h"
#include "tests/unit/check.h"
#include "toolkit/lib/dumpsyms.h"
#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"

static struct fakekernel kernel;
static unsigned char elf[FAKE_BYTES + 4096];
static struct kernview view;
static struct vmcoreinfo info;
static struct symtab tab;
static struct err err;

static const char *const form_names[] = { "old", "seqs", "new", "places", "whole" };

static void make(enum fakekernel_form form, bool percpu)
{
	kernel.form = form;
	kernel.percpu = percpu;
	kernel.no_data = false;
	kernel.va = FAKE_VA;
	fakekernel_make(&kernel);
}

/* Is the table what /proc/kallsyms would say? */
static bool right(const struct symtab *found)
{
	static char text[sizeof(kernel.text)];
	size_t len = 0;

	for (size_t i = 0; i < found->count; i++) {
		const struct symtab_entry *entry = &found->entries[i];

		if (sizeof(text) - len < 600)
			return false;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%016llx %c %s\n",
					(unsigned long long)entry->addr, entry->type,
					symtab_name(found, entry));
	}
	return len == kernel.text_len && memcmp(text, kernel.text, len) == 0;
}

/* Finds the symbols of the ELF file of the image, told where they stand or not. */
static int find(bool told)
{
	char text[4096];
	size_t len = fakekernel_elf(&kernel, elf);
	unsigned char *exact = malloc(len);
	int rc;

	/* The sanitizer sees one byte too far. */
	memcpy(exact, elf, len);
	symtab_free(&tab);
	memset(&err, 0, sizeof(err));
	rc = kernview_open_elf(&view, exact, len, &err);
	CHECK(vmcoreinfo_parse(&info, text,
			       fakekernel_vmcoreinfo(&kernel, 0x200000, true, text),
			       &err) == 0);
	view.info = told ? &info : NULL;
	if (rc == 0)
		rc = kallsyms_find(&view, &tab, &err);
	kernview_close(&view);
	free(exact);
	CHECK((rc == 0) == !err.text[0]);
	return rc;
}

static void every_form(void)
{
	for (int form = FAKE_OLD; form <= FAKE_WHOLE; form++) {
		for (int percpu = 0; percpu < 2; percpu++) {
			/* Only the forms from a base ever had per-CPU symbols. */
			if (percpu && (form == FAKE_PLACES || form == FAKE_WHOLE))
				continue;
			make((enum fakekernel_form)form, percpu);
			for (int told = 0; told < 2; told++) {
				if (find(told) == 0 && right(&tab))
					continue;
				printf("  form %s percpu %d told %d: %s\n",
				       form_names[form], percpu, told, err.text);
				CHECK(!"every form is found and right");
			}
		}
	}
}

/* What is wrong with the image is said, whether its tables are told or found. */
static void refuses(const char *sentence)
{
	CHECK(find(true) < 0);
	if (!strstr(err.text, sentence)) {
		printf("  \"%s\" does not say \"%s\"\n", err.text, sentence);
		check_failures++;
	}
}

static void damaged_tables(void)
{
	make(FAKE_NEW, false);
	put_le(kernel.image + kernel.num_syms, 0, 4);
	refuses("kallsyms cannot have 0 symbols");
	put_le(kernel.image + kernel.num_syms, 0xffffffff, 4);
	refuses("kallsyms cannot have 4294967295 symbols");
	put_le(kernel.image + kernel.num_syms, 1u << 20, 4);
	refuses("the kernel's image has no");

	make(FAKE_NEW, false);
	put_le(kernel.image + kernel.token_index + 10, 0xfff0, 2);
	refuses("token 5 is beyond its table");

	make(FAKE_NEW, false);
	kernel.image[kernel.names] = 0;
	refuses("symbol 0 of 1100 has no name");
	memset(kernel.image + kernel.names, 0xff, 2);
	refuses("symbol 0 of 1100");

	make(FAKE_NEW, false);
	put_le(kernel.image + kernel.offsets + 4 * 700, 1, 4);
	refuses("symbol 700 of 1100 stands below the one before it");
	CHECK(find(false) < 0);

	make(FAKE_NEW, false);
	put_le(kernel.image + kernel.relative_base, FAKE_VA + 8, 8);
	refuses("kallsyms has _stext at 0xffffffff81000008, VMCOREINFO at");

	make(FAKE_NEW, false);
	kernel.image[0x100] = 'l';
	refuses("no banner of this release stands at linux_banner");
	CHECK(find(false) < 0);
	make(FAKE_NEW, false);
	memcpy(kernel.image + 0x100 + 14, "6.1.0-faker", 11);
	refuses("no banner of this release stands at linux_banner");
}

/* No single wrong byte of the tables' own shape leads to other symbols, or beyond them.
 */
static void damaged_shape(void)
{
	size_t refused = 0, tried = 0;

	make(FAKE_SEQS, true);
	for (size_t at = kernel.markers; at < kernel.token_index + 512; at += 7) {
		unsigned char was = kernel.image[at];

		/* seqs_of_names are not looked at. */
		if (at >= kernel.markers + 20 && at < kernel.token_table)
			continue;
		kernel.image[at] ^= 0x41;
		tried++;
		if (find(false) < 0)
			refused++;
		else
			CHECK(tab.count == FAKE_SYMBOLS);
		kernel.image[at] = was;
	}
	CHECK(tried > 100);
	/* A changed letter of a token changes names, which nothing contradicts. */
	CHECK(refused > tried / 3);
}

static void cut_short(void)
{
	make(FAKE_OLD, true);
	for (size_t len = 0; len < kernel.len; len += 97) {
		size_t whole = kernel.len;

		kernel.len = len;
		CHECK(find(false) < 0);
		if (len)
			CHECK(find(true) < 0);
		kernel.len = whole;
	}
}

/* Tables of tokens one after the other: each could be the one. It ends, with a sentence.
 */
static void full_of_tables(void)
{
	const size_t tokens = 4096, room = 8u << 20;
	unsigned char *image = calloc(1, room);
	struct kallsyms_tables tables;

	make(FAKE_NEW, false);
	CHECK(kernel.token_index + 512 - kernel.token_table < tokens);
	for (size_t at = 0; at + tokens <= room; at += tokens)
		memcpy(image + at, kernel.image + kernel.token_table,
		       kernel.token_index + 512 - kernel.token_table);
	view = (struct kernview){ .placed = true, .count = 1 };
	view.segments[0] = (struct kernview_segment){ FAKE_VA, room, image };
	CHECK(kallsyms_search(&view, &tables, &err) < 0);
	CHECK_STR(err.text, "the kernel has no kallsyms tables of a known form");
	kernview_close(&view);
	free(image);
}

static void elf_files(void)
{
	make(FAKE_NEW, false);
	size_t len = fakekernel_elf(&kernel, elf);

	CHECK(kernview_open_elf(&view, elf, 3, &err) < 0);
	CHECK(kernview_open_elf(&view, elf, len - 1, &err) < 0);
	CHECK_STR(err.text, "the ELF file is cut short");
	put_le(elf + 18, 8, 2);
	CHECK(kernview_open_elf(&view, elf, len, &err) < 0);
	CHECK_STR(err.text, "no kernel for x86_64 or aarch64");
	fakekernel_elf(&kernel, elf);
	put_le(elf + 32, UINT64_MAX - 8, 8);
	CHECK(kernview_open_elf(&view, elf, len, &err) < 0);
	fakekernel_elf(&kernel, elf);
	put_le(elf + 64 + 16, UINT64_MAX - 8, 8);
	CHECK(kernview_open_elf(&view, elf, len, &err) < 0);
	CHECK(strstr(err.text, "a segment of the kernel is too long") != NULL);
	CHECK(kernview_open_image(&view, elf, len, &err) < 0);
	CHECK_STR(err.text, "no arm64 Image");
}

/* An arm64 Image says where it was linked by a relocation of relative_base, or by lists.
 */
static void raw_images(void)
{
	static unsigned char image[FAKE_BYTES];
	const uint64_t va = UINT64_C(0xffff800080000000);

	for (int lists = 0; lists < 2; lists++) {
		make(lists ? FAKE_PLACES : FAKE_NEW, false);
		kernel.va = va;
		fakekernel_make(&kernel);
		put_le(kernel.image + 56, 0x644d5241, 4);
		if (lists) {
			for (size_t i = 0; i < 20; i++) {
				size_t at = kernel.len / 8 * 8 + 64 + 16 * i;

				put_le(kernel.image + at, va + at, 8);
				put_le(kernel.image + at + 8, va + at, 8);
			}
		} else {
			size_t at = kernel.len / 8 * 8 + 64;

			put_le(kernel.image + kernel.relative_base, 0, 8);
			put_le(kernel.image + at, va + kernel.relative_base, 8);
			put_le(kernel.image + at + 8, 1027, 8);
			put_le(kernel.image + at + 16, va, 8);
		}
		memcpy(image, kernel.image, sizeof(image));
		symtab_free(&tab);
		CHECK(kernview_open_image(&view, image, sizeof(image), &err) == 0);
		CHECK(kallsyms_find(&view, &tab, &err) == 0);
		CHECK(right(&tab));
		/* Without that, no address is guessed. */
		memset(image + kernel.len, 0, sizeof(image) - kernel.len);
		symtab_free(&tab);
		CHECK(kernview_open_image(&view, image, sizeof(image), &err) == 0);
		CHECK(kallsyms_find(&view, &tab, &err) < 0);
		CHECK_STR(err.text, "the Image does not tell where it was linked");
	}
}

static int parse(const char *text)
{
	memset(&err, 0, sizeof(err));
	return vmcoreinfo_parse(&info, text, strlen(text), &err);
}

static void vmcoreinfo_texts(void)
{
	static char longest[VMCOREINFO_MAX + 1];
	uint64_t value;

	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffffbb000000\n"
		    "NUMBER(phys_base)=-538968064\nKERNELOFFSET=3a000000\n"
		    "NUMBER(pgtable_l5_enabled)=1\nOFFSET(list_head.prev)=8\n") == 0);
	CHECK(info.machine == VMCOREINFO_X86_64);
	CHECK_STR(info.release, "6.1");
	CHECK_STR(info.build_id, "");
	CHECK(info.stext == 0xffffffffbb000000 && info.kaslr_shift == 0x3a000000);
	CHECK(info.image_offset == 0xffffffff80000000 + 538968064);
	CHECK(info.five_level_paging);
	CHECK(vmcoreinfo_symbol(&info, "_stext", &value) && value == info.stext);
	CHECK(!vmcoreinfo_symbol(&info, "_ste", &value));
	CHECK(vmcoreinfo_number(&info, "OFFSET(list_head.prev)", &value) && value == 8);
	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=4096\n"
		    "NUMBER(kimage_voffset)=0xffffcdf6cde00000") == 0);
	CHECK(info.machine == VMCOREINFO_AARCH64 && !info.kaslr_shift && !info.stext);
	CHECK(info.image_offset == 0xffffcdf6cde00000);

	CHECK(parse("") < 0);
	CHECK_STR(err.text, "VMCOREINFO has no OSRELEASE");
	CHECK(parse("OSRELEASE=a b\nPAGESIZE=4096\nNUMBER(phys_base)=0\n") < 0);
	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=\nNUMBER(phys_base)=0\n") < 0);
	CHECK_STR(err.text, "VMCOREINFO has no PAGESIZE");
	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=4096\nNUMBER(phys_base)=1x\n") < 0);
	CHECK(strstr(err.text, "phys_base") != NULL);
	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=4096\nNUMBER(phys_base)=0\n") < 0);
	CHECK_STR(err.text, "VMCOREINFO has no KERNELOFFSET");
	CHECK(parse("OSRELEASE=6.1\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
		    "KERNELOFFSET=18446744073709551616\n") < 0);
	memset(longest, 'x', VMCOREINFO_MAX);
	CHECK(parse(longest) < 0);
	CHECK_STR(err.text, "VMCOREINFO is longer than 8191 bytes");
}

#define PAGES 128
static unsigned char dump[LIME_HEADER_BYTES + PAGES * 4096];
static struct dumpsyms syms;

static unsigned char *page(size_t number)
{
	return dump + LIME_HEADER_BYTES + number * 4096;
}

/* Looks into a lime image that begins at 0x100000. */
static int look(void)
{
	struct range range = { 0x100000, 0x100000 + PAGES * 4096 - 1 };
	int fd = memfd_create("dump", MFD_CLOEXEC), rc;

	lime_header(&range, dump);
	CHECK(write(fd, dump, sizeof(dump)) == (ssize_t)sizeof(dump));
	memset(&err, 0, sizeof(err));
	rc = dumpsyms_open(&syms, fd, NULL, &err);
	CHECK((rc == 0) == !err.text[0]);
	close(fd);
	return rc;
}

static void put_kernel(bool told)
{
	memcpy(page(8), kernel.image, kernel.len);
	/* In a note, as of /proc/kcore. */
	fakekernel_vmcoreinfo(&kernel, 0x108000, told, (char *)page(100) + 24);
}

static void images(void)
{
	for (int told = 0; told < 2; told++) {
		make(FAKE_NEW, true);
		kernel.va += 0x3000000;
		kernel.no_data = told;
		fakekernel_make(&kernel);
		memset(dump, 0, sizeof(dump));
		put_kernel(told);
		/* A forgery before it: its kernel is not there. */
		fakekernel_vmcoreinfo(&kernel, 0x109000, told, (char *)page(2));
		/* And a banner as that of init/version.c. */
		strcpy((char *)page(8) + 0x80,
		       "Linux version " FAKE_RELEASE " (gcc) # SMP\n");
		CHECK(look() == 0);
		CHECK(syms.candidates == 2 && syms.info_phys == 0x164018);
		CHECK_STR(syms.banner, FAKE_BANNER);
		CHECK(syms.info.kaslr_shift == 0x3000000);
		CHECK(syms.symbols.count == FAKE_SYMBOLS + syms.found);
		CHECK(syms.symbols.sorted);
		CHECK(symtab_find(&syms.symbols, "symbol_601") != NULL);
		CHECK(syms.btf_len == kernel.btf_len &&
		      !memcmp(syms.btf, kernel.image + kernel.btf_at, syms.btf_len));
		dumpsyms_close(&syms);
	}
}

/* Variables of a kernel whose table has code alone, as offsets in its image. */
static const struct {
	const char *name;
	uint64_t off;
} variables[] = {
	{ "init_task", 0x8000 },      { "init_mm", 0x8100 },
	{ "init_nsproxy", 0x8180 },   { "init_pid_ns", 0x81c0 },
	{ "init_net", 0x8200 },	      { "net_namespace_list", 0x8240 },
	{ "modules", 0x8280 },	      { "module_kset", 0x82a0 },
	{ "iomem_resource", 0x82c0 }, { "socket_file_ops", 0x8340 },
	{ "init_uts_ns", 0x200 },     { "linux_banner", 0x100 },
};
#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

static void put_data(void)
{
	make(FAKE_NEW, true);
	kernel.no_data = true;
	fakekernel_make(&kernel);
	memset(dump, 0, sizeof(dump));
	fakekernel_add_data(&kernel, 0x108000, page(110), 0x16e000);
	put_kernel(true);
}

/* How many of the variables are found; one that is found elsewhere counts as wrong. */
static size_t find_variables(size_t *wrong)
{
	size_t found = 0;

	CHECK(look() == 0);
	*wrong = 0;
	for (size_t i = 0; i < VARIABLES; i++) {
		const struct symtab_entry *entry =
			symtab_find(&syms.symbols, variables[i].name);

		found += entry != NULL;
		*wrong += entry && entry->addr != kernel.va + variables[i].off;
	}
	CHECK(syms.found == found);
	dumpsyms_close(&syms);
	return found;
}

static void variables_by_content(void)
{
	size_t wrong;

	put_data();
	CHECK(find_variables(&wrong) == VARIABLES);
	CHECK(!wrong);
}

/* Each thing that is checked, wrong by one byte: what hangs on it is not found. */
static void variables_checked(void)
{
	static const struct {
		size_t at;    /* in the image, or in the module's page when above it */
		size_t fewer; /* than all, that are found */
	} cases[] = {
		{ 0x8000, 5 },	/* the list of tasks */
		{ 0x8010, 5 },	/* the name of the first task */
		{ 0x8020, 5 },	/* its pid */
		{ 0x8030, 5 },	/* its parent */
		{ 0x8040, 5 },	/* its group */
		{ 0x8048, 4 },	/* its nsproxy */
		{ 0x8180, 4 },	/* the uts namespace */
		{ 0x81c0, 1 },	/* the level of the pid namespace */
		{ 0x8208, 1 },	/* the list of networks */
		{ 0x8100, 2 },	/* init_mm's page tables, and where the image ends */
		{ 0x8108, 2 },	/* its code */
		{ 0x8280, 2 },	/* the list of modules */
		{ 0x8288, 2 },	/* its end */
		{ 0x82a0, 1 },	/* the value of module_kset */
		{ 0x82c0, 1 },	/* where resources begin */
		{ 0x8301, 1 },	/* their name */
		{ 0x8348, 1 },	/* sock_close */
		{ 0x9ff8, 2 },	/* the page tables */
		{ 0x10008, 2 }, /* the module's place in the list */
		{ 0x10030, 2 }, /* that it is its own module */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = cases[i].at, wrong, found;

		put_data();
		page(at < 0x10000 ? 8 : 110)[at & 0xffff] ^= 1;
		found = find_variables(&wrong);
		if (found + cases[i].fewer != VARIABLES || wrong)
			printf("  0x%zx: %zu of %zu found, %zu wrong\n", at, found,
			       VARIABLES, wrong);
		CHECK(found + cases[i].fewer == VARIABLES && !wrong);
	}
}

static void images_without(void)
{
	memset(dump, 0, sizeof(dump));
	CHECK(look() < 0);
	CHECK(strstr(err.text, "the image holds no VMCOREINFO") != NULL);
	dumpsyms_close(&syms);

	/* So many forgeries that it gives up, before the true one. */
	make(FAKE_NEW, false);
	put_kernel(true);
	for (size_t i = 0; i < 70; i++)
		fakekernel_vmcoreinfo(&kernel, 0x900000, true, (char *)page(i));
	CHECK(look() < 0);
	CHECK(syms.candidates == 64);
	CHECK(strstr(err.text, "none of 64 VMCOREINFO texts leads to a kernel") != NULL);
	dumpsyms_close(&syms);

	/* No types is no failure. */
	memset(dump, 0, sizeof(dump));
	kernel.image[kernel.btf_at] ^= 1;
	put_kernel(true);
	CHECK(look() == 0);
	CHECK(!syms.btf && !syms.btf_len);
	dumpsyms_close(&syms);
}

int main(void)
{
	RUN(every_form);
	RUN(damaged_tables);
	RUN(damaged_shape);
	RUN(cut_short);
	RUN(full_of_tables);
	RUN(elf_files);
	RUN(raw_images);
	RUN(vmcoreinfo_texts);
	RUN(images);
	RUN(variables_by_content);
	RUN(variables_checked);
	RUN(images_without);
	symtab_free(&tab);
	return DONE();
}
