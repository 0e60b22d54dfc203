/*
 * All that a symbol file is made of, out of an image of memory and nothing else: finds
 * the VMCOREINFO text in the image, with it the kernel, with that its symbols, types
 * (BTF) and banner. A dump may hold several such texts (older kernels, files, forgeries):
 * one is believed only when its addresses lead to symbols that decode and to the banner
 * of its release.
 */
#ifndef FVOL_DUMPSYMS_H
#define FVOL_DUMPSYMS_H

#include "toolkit/lib/decoder.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/symtab.h"
#include "toolkit/lib/vmcoreinfo.h"

#define DUMPSYMS_BANNER_MAX 512

struct dumpsyms {
	struct vmcoreinfo info; /* release, build id, KASLR shift, architecture */
	uint64_t info_phys;	/* where it stands */
	/* Sorted; addresses as the kernel ran, with its KASLR shift. */
	struct symtab symbols;
	size_t found;	    /* of symbols, by content: the kernel's table lacks them */
	unsigned char *btf; /* NULL: the kernel has none */
	size_t btf_len;
	char banner[DUMPSYMS_BANNER_MAX]; /* linux_banner with its newline and a NUL */
	unsigned int candidates;	  /* texts that were looked into */
};

/*
 * Looks into the image fd (a regular file, borrowed); ops as for dumpview_open(). Takes
 * a second for each 2 GiB or so in which no VMCOREINFO stands, and 20 MiB of memory, or
 * twice the kernel's image when that does not tell where its tables are. ERR_FAILED says
 * what was not found. dumpsyms_close() is due in both cases.
 */
int dumpsyms_open(struct dumpsyms *syms, int fd, const struct decoder_ops *ops,
		  struct err *err);
void dumpsyms_close(struct dumpsyms *syms);

#endif
