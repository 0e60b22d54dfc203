/*
 * A stand-in for a kernel's image: a banner, types and kallsyms tables in every order
 * that scripts/kallsyms.c has written them, so small that each of its bytes can be
 * damaged.
 */
#ifndef FVOL_TESTS_FAKEKERNEL_H
#define FVOL_TESTS_FAKEKERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fakekernel_form {
	FAKE_OLD,    /* until 6.1: numbers, names, markers, tokens */
	FAKE_SEQS,   /* 6.2, 6.3: with seqs_of_names before the tokens */
	FAKE_NEW,    /* 6.4 on: names, markers, tokens, numbers */
	FAKE_PLACES, /* 7.x: the same, offsets from their own places */
	FAKE_WHOLE,  /* as FAKE_OLD, with addresses (no BASE_RELATIVE) */
};

#define FAKE_VA UINT64_C(0xffffffff81000000)
#define FAKE_BYTES (64u << 10)
#define FAKE_SYMBOLS 1100u
#define FAKE_RELEASE "6.1.0-fake"
#define FAKE_VERSION "#1 SMP Fake (2026-01-01)"
#define FAKE_BANNER "Linux version " FAKE_RELEASE " (gcc) " FAKE_VERSION "\n"

struct fakekernel {
	enum fakekernel_form form;
	bool percpu;  /* the first symbols are absolute, as of x86_64 until 6.15 */
	bool no_data; /* no data symbols, as without KALLSYMS_ALL */
	uint64_t va;

	unsigned char image[FAKE_BYTES];
	size_t len, btf_at, btf_len, uts_at;
	/* Offsets in image. */
	size_t num_syms, names, markers, token_table, token_index, offsets, relative_base;
	/* What /proc/kallsyms would say. */
	char text[128u << 10];
	size_t text_len;
};

/* Makes the image of what form, percpu, no_data and va say. */
void fakekernel_make(struct fakekernel *kernel);

/* An ELF file of it; returns its length. out has FAKE_BYTES + 4096 bytes. */
size_t fakekernel_elf(const struct fakekernel *kernel, unsigned char *out);

/*
 * VMCOREINFO of it, standing at phys, with the addresses of the tables if told. out has
 * 4096 bytes and is zero behind the text. Returns the length of the text.
 */
size_t fakekernel_vmcoreinfo(const struct fakekernel *kernel, uint64_t phys, bool told,
			     char *out);

/*
 * Adds variables that findsyms.h finds, for an image that stands at phys: a first task
 * with its namespaces, lists of networks and of modules, resources, operations of
 * sockets; and page tables by which the one module, a page at module_phys, is reached.
 */
void fakekernel_add_data(struct fakekernel *kernel, uint64_t phys,
			 unsigned char module[4096], uint64_t module_phys);

#endif
