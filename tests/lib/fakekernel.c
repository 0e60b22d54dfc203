#include "tests/lib/fakekernel.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "toolkit/lib/le.h"

#define PER_MARKER 256
#define BANNER_AT 0x100
#define UTS_AT 0x200
#define BTF_AT 0x800
#define TABLES_AT 0x1000
/* Of fakekernel_add_data(), as offsets in the image: what has a page of its own is of
 * the page tables. */
#define TASK_AT 0x8000
#define MM_AT 0x8100
#define NSPROXY_AT 0x8180
#define PID_NS_AT 0x81c0
#define NET_AT 0x8200
#define NETS_AT 0x8240
#define MODULES_AT 0x8280
#define KSET_AT 0x82a0
#define RESOURCE_AT 0x82c0
#define STRING_AT 0x8300
#define OPERATIONS_AT 0x8340
#define TABLES_PGD 0x9000
#define TABLES_PUD 0xa000
#define TABLES_PMD 0xb000
#define TABLES_PTE 0xc000
#define DATA_END 0xd000
#define MODULE_VA UINT64_C(0xffffffffc0001000)
#define KSET UINT64_C(0xffff888000001230)
#define LONG_NAME 300

struct symbol {
	uint64_t addr;
	char type;
	char name[LONG_NAME + 2];
};

static struct symbol symbols[FAKE_SYMBOLS];
static char tokens[256][16];

/* What a structure has: names of members, of which 8 bytes each begin one after another.
 */
static const struct {
	const char *name, *members[10];
} structures[] = {
	{ "list_head", { "next", "prev" } },
	{ "task_struct",
	  { "tasks", "tasks_prev", "comm", "comm_end", "pid", "tgid", "parent",
	    "real_parent", "group_leader", "nsproxy" } },
	{ "mm_struct", { "pgd", "start_code", "brk" } },
	{ "nsproxy", { "uts_ns", "pid_ns_for_children", "net_ns" } },
	{ "pid_namespace", { "level" } },
	{ "net", { "count", "list", "list_prev" } },
	{ "module", { "state", "list", "list_prev", "name", "mkobj" } },
	{ "module_kobject", { "kobj_name", "kobj_kset", "mod" } },
	{ "kobject", { "name", "kset" } },
	{ "resource", { "start", "end", "name" } },
	{ "file_operations", { "poll", "release", "mmap" } },
};
#define STRUCTURES (sizeof(structures) / sizeof(structures[0]))
#define MEMBERS_MAX 10

static uint32_t add_string(char *strings, size_t *len, const char *string)
{
	uint32_t at = (uint32_t)*len;

	strcpy(strings + at, string);
	*len += strlen(string) + 1;
	return at;
}

/* Types: an int of 8 bytes, and the structures. */
static size_t make_btf(unsigned char *at)
{
	static char strings[1024];
	size_t strings_len = 0, len = 24;
	unsigned char *type = at + len;

	add_string(strings, &strings_len, "");
	put_le(type, add_string(strings, &strings_len, "int"), 4);
	put_le(type + 4, 1u << 24, 4);
	put_le(type + 8, 8, 4);
	put_le(type + 12, 64 | 1u << 24, 4);
	len += 16;
	for (size_t i = 0; i < STRUCTURES; i++) {
		uint32_t count = 0;

		type = at + len;
		put_le(type, add_string(strings, &strings_len, structures[i].name), 4);
		for (; count < MEMBERS_MAX && structures[i].members[count]; count++) {
			unsigned char *member = type + 12 + 12 * (size_t)count;
			const char *name = structures[i].members[count];

			put_le(member, add_string(strings, &strings_len, name), 4);
			put_le(member + 4, 1, 4);
			put_le(member + 8, 64 * count, 4);
		}
		put_le(type + 4, 4u << 24 | count, 4);
		put_le(type + 8, 8 * count, 4);
		len += 12 + 12 * (size_t)count;
	}
	put_le(at, 0xeb9f, 2);
	at[2] = 1;
	put_le(at + 4, 24, 4);
	put_le(at + 8, 0, 4);
	put_le(at + 12, len - 24, 4);
	put_le(at + 16, len - 24, 4);
	put_le(at + 20, strings_len, 4);
	memcpy(at + len, strings, strings_len);
	return len + strings_len;
}

static void name_symbol(size_t i, uint64_t addr, char type, const char *name)
{
	symbols[i].addr = addr;
	symbols[i].type = type;
	snprintf(symbols[i].name, sizeof(symbols[i].name), "%s", name);
}

static void make_symbols(const struct fakekernel *kernel)
{
	size_t i = 0;

	if (kernel->percpu) {
		name_symbol(i++, 0, 'A', "fixed_percpu_data");
		name_symbol(i++, 0, 'A', "__per_cpu_start");
		name_symbol(i++, 0x1000, 'A', "cpu_debug_store");
	}
	name_symbol(i++, kernel->va, 'T', "_stext");
	name_symbol(i++, kernel->va, 'T', "_text");
	if (!kernel->no_data) {
		name_symbol(i++, kernel->va + BANNER_AT, 'D', "linux_banner");
		name_symbol(i++, kernel->va + kernel->btf_at, 'R', "__start_BTF");
		name_symbol(i++, kernel->va + kernel->btf_at + kernel->btf_len, 'R',
			    "__stop_BTF");
	}
	for (; i < FAKE_SYMBOLS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "symbol_%zu", i);
		name_symbol(i, kernel->va + 0x1000 + 16 * i, "tTdDbB"[i % 6], name);
	}
	strcpy(symbols[600].name, "sock_close");
	strcpy(symbols[606].name, "sock_mmap");
	strcpy(symbols[612].name, "sock_poll");
	/* As long as C++ and Rust have them. */
	memset(symbols[500].name, 'n', LONG_NAME);
}

/* Each character is a token of itself; what no name has stands for more of them. */
static void make_tokens(void)
{
	for (size_t i = 0; i < 256; i++) {
		if (i > ' ' && i <= '~')
			snprintf(tokens[i], sizeof(tokens[i]), "%c", (int)i);
		else
			snprintf(tokens[i], sizeof(tokens[i]), "tok%02zx", i);
	}
	strcpy(tokens[0x80], "symbol_");
	strcpy(tokens[0x81], "tsymbol_1");
}

/* Packs one name with its letter. Returns how many bytes. */
static size_t pack(const struct symbol *symbol, unsigned char *out)
{
	unsigned char packed[2 * LONG_NAME];
	char name[LONG_NAME + 4];
	size_t len = 0, head;

	snprintf(name, sizeof(name), "%c%s", symbol->type, symbol->name);
	for (const char *at = name; *at;) {
		unsigned char token = (unsigned char)*at;

		for (unsigned char t = 0x80; t <= 0x81; t++)
			if (strncmp(at, tokens[t], strlen(tokens[t])) == 0)
				token = t;
		packed[len++] = token;
		at += strlen(tokens[token]);
	}
	head = len < 0x80 ? 1 : 2;
	out[0] = (unsigned char)(head == 1 ? len : (len & 0x7f) | 0x80);
	if (head == 2)
		out[1] = (unsigned char)(len >> 7);
	memcpy(out + head, packed, len);
	return head + len;
}

static void align(struct fakekernel *kernel, size_t to)
{
	kernel->len = (kernel->len + to - 1) / to * to;
}

static void put(struct fakekernel *kernel, uint64_t value, size_t len)
{
	put_le(kernel->image + kernel->len, value, len);
	kernel->len += len;
}

static void put_names(struct fakekernel *kernel)
{
	uint32_t markers[FAKE_SYMBOLS / PER_MARKER + 1];
	size_t each = kernel->form == FAKE_PLACES ? 4 : 8;

	align(kernel, each);
	kernel->num_syms = kernel->len;
	put(kernel, FAKE_SYMBOLS, 4);
	align(kernel, each);
	kernel->names = kernel->len;
	for (size_t i = 0; i < FAKE_SYMBOLS; i++) {
		if (i % PER_MARKER == 0)
			markers[i / PER_MARKER] = (uint32_t)(kernel->len - kernel->names);
		kernel->len += pack(&symbols[i], kernel->image + kernel->len);
	}
	align(kernel, each);
	kernel->markers = kernel->len;
	for (size_t i = 0; i <= (FAKE_SYMBOLS - 1) / PER_MARKER; i++)
		put(kernel, markers[i], 4);
}

static void put_seqs(struct fakekernel *kernel)
{
	align(kernel, 8);
	for (size_t i = 0; i < FAKE_SYMBOLS; i++)
		put(kernel, i * 2654435761u % FAKE_SYMBOLS << 8, 3);
}

static void put_tokens(struct fakekernel *kernel)
{
	size_t each = kernel->form == FAKE_PLACES ? 4 : 8, starts[256];

	align(kernel, each);
	kernel->token_table = kernel->len;
	for (size_t i = 0; i < 256; i++) {
		starts[i] = kernel->len - kernel->token_table;
		memcpy(kernel->image + kernel->len, tokens[i], strlen(tokens[i]) + 1);
		kernel->len += strlen(tokens[i]) + 1;
	}
	align(kernel, each);
	kernel->token_index = kernel->len;
	for (size_t i = 0; i < 256; i++)
		put(kernel, starts[i], 2);
}

static void put_numbers(struct fakekernel *kernel)
{
	align(kernel, kernel->form == FAKE_PLACES ? 4 : 8);
	kernel->offsets = kernel->len;
	kernel->relative_base = 0;
	for (size_t i = 0; i < FAKE_SYMBOLS; i++) {
		uint64_t addr = symbols[i].addr, off = addr - kernel->va;

		if (kernel->form == FAKE_WHOLE)
			put(kernel, addr, 8);
		else if (kernel->form == FAKE_PLACES)
			put(kernel, off - kernel->len, 4);
		else if (!kernel->percpu)
			put(kernel, off, 4);
		else
			put(kernel, addr >> 63 ? ~off : addr, 4);
	}
	if (kernel->form == FAKE_WHOLE || kernel->form == FAKE_PLACES)
		return;
	align(kernel, 8);
	kernel->relative_base = kernel->len;
	put(kernel, kernel->va, 8);
}

void fakekernel_make(struct fakekernel *kernel)
{
	bool old = kernel->form == FAKE_OLD || kernel->form == FAKE_SEQS ||
		   kernel->form == FAKE_WHOLE;

	memset(kernel->image, 0, sizeof(kernel->image));
	memset(kernel->image, 0xcc, BANNER_AT);
	memcpy(kernel->image + BANNER_AT, FAKE_BANNER, sizeof(FAKE_BANNER));
	kernel->uts_at = UTS_AT;
	strcpy((char *)kernel->image + UTS_AT + 3 * 65, FAKE_VERSION);
	kernel->btf_at = BTF_AT;
	kernel->btf_len = make_btf(kernel->image + BTF_AT);
	kernel->len = TABLES_AT;
	make_tokens();
	make_symbols(kernel);
	if (old)
		put_numbers(kernel);
	put_names(kernel);
	if (kernel->form == FAKE_SEQS)
		put_seqs(kernel);
	put_tokens(kernel);
	if (!old) {
		put_numbers(kernel);
		put_seqs(kernel);
	}
	kernel->text_len = 0;
	for (size_t i = 0; i < FAKE_SYMBOLS; i++)
		kernel->text_len += (size_t)snprintf(
			kernel->text + kernel->text_len,
			sizeof(kernel->text) - kernel->text_len, "%016" PRIx64 " %c %s\n",
			symbols[i].addr, symbols[i].type, symbols[i].name);
}

size_t fakekernel_elf(const struct fakekernel *kernel, unsigned char *out)
{
	Elf64_Ehdr ehdr = { .e_machine = EM_X86_64,
			    .e_phoff = sizeof(ehdr),
			    .e_phnum = 1 };
	Elf64_Phdr phdr = { .p_type = PT_LOAD,
			    .p_offset = sizeof(ehdr) + sizeof(phdr),
			    .p_vaddr = kernel->va,
			    .p_filesz = kernel->len,
			    .p_memsz = kernel->len + 4096 };

	memcpy(ehdr.e_ident, ELFMAG, SELFMAG);
	ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(out, &ehdr, sizeof(ehdr));
	memcpy(out + sizeof(ehdr), &phdr, sizeof(phdr));
	memcpy(out + phdr.p_offset, kernel->image, kernel->len);
	return phdr.p_offset + kernel->len;
}

size_t fakekernel_vmcoreinfo(const struct fakekernel *kernel, uint64_t phys, bool told,
			     char *out)
{
	const uint64_t va = kernel->va;
	size_t room = 4096, len;

	memset(out, 0, room);
	len = (size_t)snprintf(
		out, room,
		"OSRELEASE=" FAKE_RELEASE "\nBUILD-ID=0123456789abcdef\nPAGESIZE=4096\n"
		"SYMBOL(init_uts_ns)=%" PRIx64 "\nOFFSET(uts_namespace.name)=0\n"
		"SYMBOL(swapper_pg_dir)=%" PRIx64 "\n"
		"SYMBOL(_stext)=%" PRIx64 "\nNUMBER(phys_base)=%" PRId64
		"\nNUMBER(pgtable_l5_enabled)=0\nKERNELOFFSET=%" PRIx64 "\n",
		va + kernel->uts_at, va + TABLES_PGD, va,
		(int64_t)(phys - (va - UINT64_C(0xffffffff80000000))), va - FAKE_VA);
	if (!told)
		return len;
	len += (size_t)snprintf(out + len, room - len,
				"SYMBOL(kallsyms_names)=%" PRIx64
				"\nSYMBOL(kallsyms_num_syms)=%" PRIx64
				"\nSYMBOL(kallsyms_token_table)=%" PRIx64
				"\nSYMBOL(kallsyms_token_index)=%" PRIx64
				"\nSYMBOL(kallsyms_%s)=%" PRIx64 "\n",
				va + kernel->names, va + kernel->num_syms,
				va + kernel->token_table, va + kernel->token_index,
				kernel->form == FAKE_WHOLE ? "addresses" : "offsets",
				va + kernel->offsets);
	if (kernel->relative_base)
		len += (size_t)snprintf(out + len, room - len,
					"SYMBOL(kallsyms_relative_base)=%" PRIx64 "\n",
					va + kernel->relative_base);
	return len;
}

/* Words from `at` on. */
static void words(struct fakekernel *kernel, size_t at, size_t count,
		  const uint64_t *values)
{
	for (size_t i = 0; i < count; i++)
		put_le(kernel->image + at + 8 * i, values[i], 8);
}

void fakekernel_add_data(struct fakekernel *kernel, uint64_t phys,
			 unsigned char module[4096], uint64_t module_phys)
{
	const uint64_t va = kernel->va, task = va + TASK_AT;
	const uint64_t list = MODULE_VA + 8, modules = va + MODULES_AT;
	const size_t tables[] = { TABLES_PGD, TABLES_PUD, TABLES_PMD, TABLES_PTE };
	const uint64_t to[] = { phys + TABLES_PUD, phys + TABLES_PMD, phys + TABLES_PTE,
				module_phys };

	words(kernel, TASK_AT, 10,
	      (uint64_t[]){ task, task, 0, 0, 0, 0, task, task, task, va + NSPROXY_AT });
	memcpy(kernel->image + TASK_AT + 16, "swapper/0", 10);
	words(kernel, MM_AT, 3, (uint64_t[]){ va + TABLES_PGD, va, va + DATA_END });
	words(kernel, NSPROXY_AT, 3,
	      (uint64_t[]){ va + kernel->uts_at, va + PID_NS_AT, va + NET_AT });
	words(kernel, NET_AT, 3, (uint64_t[]){ 1, va + NETS_AT, va + NETS_AT });
	words(kernel, NETS_AT, 2, (uint64_t[]){ va + NET_AT + 8, va + NET_AT + 8 });
	words(kernel, MODULES_AT, 2, (uint64_t[]){ list, list });
	words(kernel, KSET_AT, 1, (uint64_t[]){ KSET });
	words(kernel, RESOURCE_AT, 3, (uint64_t[]){ 0, UINT64_MAX, va + STRING_AT + 1 });
	memcpy(kernel->image + STRING_AT, "\0PCI mem", 9);
	words(kernel, OPERATIONS_AT, 3,
	      (uint64_t[]){ symbols[612].addr, symbols[600].addr, symbols[606].addr });
	for (size_t i = 0; i < 4; i++)
		put_le(kernel->image + tables[i] + 8 * (MODULE_VA >> (39 - 9 * i) & 511),
		       to[i] | 1, 8);
	kernel->len = DATA_END;
	memset(module, 0, 4096);
	put_le(module + 8, modules, 8);
	put_le(module + 16, modules, 8);
	memcpy(module + 24, "ext9", 5);
	put_le(module + 40, KSET, 8);
	put_le(module + 48, MODULE_VA, 8);
}
