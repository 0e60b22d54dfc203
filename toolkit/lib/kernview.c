#include "toolkit/lib/kernview.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* booting.rst: magic at byte 56, "ARM\x64". */
#define IMAGE_MAGIC_AT 56
#define IMAGE_MAGIC 0x644d5241u
#define IMAGE_HEADER_BYTES 64

/* The image begins at such a boundary at or below _stext, on x86_64 and arm64. */
#define IMAGE_ALIGN (2u << 20)
/* Both architectures have their image in the upper half. */
#define KERNEL_HALF (UINT64_C(1) << 63)

static int add_segment(struct kernview *view, uint64_t va, const unsigned char *data,
		       uint64_t len_bytes, struct err *err)
{
	if (view->count == KERNVIEW_SEGMENTS_MAX)
		return err_set(err, ERR_FAILED, "the kernel has more than %d segments",
			       KERNVIEW_SEGMENTS_MAX);
	if (len_bytes > KERNVIEW_IMAGE_MAX || va + len_bytes < va)
		return err_set(err, ERR_FAILED,
			       "a segment of the kernel is too long: %" PRIu64 " bytes",
			       len_bytes);
	view->segments[view->count++] = (struct kernview_segment){ .va = va,
								   .len_bytes = len_bytes,
								   .data = data };
	return 0;
}

int kernview_open_elf(struct kernview *view, const void *data, size_t len_bytes,
		      struct err *err)
{
	Elf64_Ehdr ehdr;

	*view = (struct kernview){ .placed = true };
	if (len_bytes < sizeof(ehdr) || memcmp(data, ELFMAG, SELFMAG) != 0)
		return err_set(err, ERR_FAILED, "no ELF file");
	memcpy(&ehdr, data, sizeof(ehdr));
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (ehdr.e_machine != EM_X86_64 && ehdr.e_machine != EM_AARCH64))
		return err_set(err, ERR_FAILED, "no kernel for x86_64 or aarch64");
	view->machine =
		ehdr.e_machine == EM_X86_64 ? VMCOREINFO_X86_64 : VMCOREINFO_AARCH64;
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		uint64_t at = i * sizeof(Elf64_Phdr);
		Elf64_Phdr phdr;

		if (ehdr.e_phoff > len_bytes || len_bytes - ehdr.e_phoff < at ||
		    len_bytes - ehdr.e_phoff - at < sizeof(phdr))
			return err_set(err, ERR_FAILED, "the ELF file is cut short");
		memcpy(&phdr, (const char *)data + ehdr.e_phoff + at, sizeof(phdr));
		if (phdr.p_type != PT_LOAD || !phdr.p_filesz)
			continue;
		if (phdr.p_offset > len_bytes ||
		    phdr.p_filesz > len_bytes - phdr.p_offset)
			return err_set(err, ERR_FAILED, "the ELF file is cut short");
		if (add_segment(view, phdr.p_vaddr,
				(const unsigned char *)data + phdr.p_offset,
				phdr.p_filesz, err) < 0)
			return -1;
	}
	return view->count ? 0 : err_set(err, ERR_FAILED, "the ELF file has no segments");
}

int kernview_open_image(struct kernview *view, const void *data, size_t len_bytes,
			struct err *err)
{
	*view = (struct kernview){ .machine = VMCOREINFO_AARCH64 };
	if (len_bytes < IMAGE_HEADER_BYTES ||
	    get_le((const unsigned char *)data + IMAGE_MAGIC_AT, 4) != IMAGE_MAGIC)
		return err_set(err, ERR_FAILED, "no arm64 Image");
	return add_segment(view, 0, data, len_bytes, err);
}

/* How much memory the dump has from phys on, in one piece and up to max. */
static uint64_t memory_left(const struct dumpview *dump, uint64_t phys, uint64_t max)
{
	const struct ranges *ranges = &dump->decoder->ranges;

	/* Absent blocks are zeros: what ends the memory is its last block. */
	if (dump->decoder->ops->omits_zeros)
		return phys < dump->end && dump->end - phys < max ? dump->end - phys
		       : phys < dump->end			  ? max
								  : 0;
	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t left = ranges->at[i].end - phys + 1;

		if (ranges->at[i].start <= phys && phys <= ranges->at[i].end)
			return left < max ? left : max;
	}
	return 0;
}

int kernview_open_dump(struct kernview *view, struct dumpview *dump,
		       const struct vmcoreinfo *info, struct err *err)
{
	uint64_t va = info->stext / IMAGE_ALIGN * IMAGE_ALIGN, phys, len;

	*view = (struct kernview){
		.machine = info->machine, .placed = true, .dump = dump, .info = info
	};
	if (!info->stext)
		return err_set(err, ERR_FAILED,
			       "VMCOREINFO does not tell where _stext is");
	phys = va - info->image_offset;
	if (va < KERNEL_HALF || va + KERNVIEW_IMAGE_MAX < va || phys >= PHYSICAL_END)
		return err_set(err, ERR_FAILED, "VMCOREINFO has impossible addresses");
	len = memory_left(dump, phys, KERNVIEW_IMAGE_MAX);
	if (!len)
		return err_set(err, ERR_FAILED,
			       "the image has no memory at 0x%" PRIx64
			       ", where VMCOREINFO has the kernel",
			       phys);
	return add_segment(view, va, NULL, len, err);
}

void kernview_close(struct kernview *view)
{
	free(view->loaded);
	view->loaded = NULL;
	view->count = 0;
}

static const struct kernview_segment *find_segment(const struct kernview *view,
						   uint64_t va)
{
	for (size_t i = 0; i < view->count; i++)
		if (va - view->segments[i].va < view->segments[i].len_bytes)
			return &view->segments[i];
	return NULL;
}

uint64_t kernview_left(const struct kernview *view, uint64_t va)
{
	const struct kernview_segment *segment = find_segment(view, va);

	return segment ? segment->len_bytes - (va - segment->va) : 0;
}

int kernview_read(struct kernview *view, uint64_t va, void *buf, size_t len_bytes,
		  struct err *err)
{
	const struct kernview_segment *segment = find_segment(view, va);

	if (!segment || segment->len_bytes - (va - segment->va) < len_bytes)
		return err_set(err, ERR_FAILED,
			       "the kernel's image has no %zu bytes at 0x%" PRIx64,
			       len_bytes, va);
	if (segment->data) {
		memcpy(buf, segment->data + (va - segment->va), len_bytes);
		return 0;
	}
	return dumpview_read(view->dump, va - view->info->image_offset, buf, len_bytes,
			     err);
}

/* Some pages of the image's end may be damaged or missing: they are shown as zeros. */
int kernview_load(struct kernview *view, struct err *err)
{
	const size_t step = 64 * 1024;
	struct kernview_segment *segment = &view->segments[0];
	struct err ignored;

	if (!view->dump || view->loaded)
		return 0;
	view->loaded = calloc(1, (size_t)segment->len_bytes);
	if (!view->loaded)
		return err_sys(err, ENOMEM, "%" PRIu64 " bytes for the kernel's image",
			       segment->len_bytes);
	for (uint64_t at = 0; at < segment->len_bytes; at += step) {
		uint64_t left = segment->len_bytes - at;
		size_t n = left < step ? (size_t)left : step;

		if (dumpview_read(view->dump, segment->va - view->info->image_offset + at,
				  view->loaded + at, n, &ignored) < 0)
			memset(view->loaded + at, 0, n);
	}
	segment->data = view->loaded;
	return 0;
}

void kernview_place(struct kernview *view, uint64_t va)
{
	if (view->placed)
		return;
	view->segments[0].va = va;
	view->placed = true;
}
