#include "toolkit/lib/kcore.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

/* A PT_LOAD with what it takes to tell the direct map from the rest. */
struct load {
	uint64_t phys;
	uint64_t len_bytes;
	uint64_t file_off;
	uint64_t base; /* virtual minus physical address: one value for the direct map */
};

static uint64_t overlap(const struct load *load, const struct range *range)
{
	uint64_t start = load->phys > range->start ? load->phys : range->start;
	uint64_t load_end = load->phys + load->len_bytes - 1;
	uint64_t end = load_end < range->end ? load_end : range->end;

	return start > end ? 0 : end - start + 1;
}

static uint64_t covered(const struct load *load, const struct ranges *ranges)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ranges->count; i++)
		sum += overlap(load, &ranges->at[i]);
	return sum;
}

/* Reads program header number i; returns 1 for a PT_LOAD that may be direct map, else 0.
 */
static int read_load(int fd, const Elf64_Ehdr *ehdr, size_t i, uint64_t ram_end,
		     struct load *load, struct err *err)
{
	Elf64_Phdr phdr;
	ssize_t n = io_pread(fd, &phdr, sizeof(phdr), ehdr->e_phoff + i * sizeof(phdr));

	if (n < 0)
		return err_sys(err, errno, "reading kcore's program headers");
	if (n != sizeof(phdr))
		return err_set(err, ERR_FAILED, "kcore ends inside its program headers");
	if (phdr.p_type != PT_LOAD || phdr.p_memsz == 0)
		return 0;
	/* Beyond the end of RAM: vmalloc and its like, with physical address 0 or -1. */
	if (phdr.p_paddr > ram_end || phdr.p_memsz - 1 > ram_end - phdr.p_paddr)
		return 0;
	if (phdr.p_offset > INT64_MAX - phdr.p_memsz)
		return 0;
	*load = (struct load){ .phys = phdr.p_paddr,
			       .len_bytes = phdr.p_memsz,
			       .file_off = phdr.p_offset,
			       .base = phdr.p_vaddr - phdr.p_paddr };
	return 1;
}

static int check_header(const Elf64_Ehdr *ehdr, struct err *err)
{
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG) != 0 ||
	    ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_type != ET_CORE ||
	    ehdr->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(err, ERR_FAILED, "kcore is not a 64-bit ELF core");
	return 0;
}

/* The base whose segments cover most of RAM: two passes over the headers, no heap. */
static int direct_map_base(int fd, const Elf64_Ehdr *ehdr, const struct ranges *ranges,
			   uint64_t ram_end, uint64_t *base, struct err *err)
{
	/* Few bases exist (direct map, text, modules, vmemmap); a core with more is odd.
	 */
	struct {
		uint64_t base, bytes;
	} seen[64];
	size_t count = 0, best = 0;

	for (size_t i = 0; i < ehdr->e_phnum; i++) {
		struct load load;
		size_t k = 0;
		int is = read_load(fd, ehdr, i, ram_end, &load, err);

		if (is < 0)
			return -1;
		if (!is)
			continue;
		while (k < count && seen[k].base != load.base)
			k++;
		if (k == sizeof(seen) / sizeof(seen[0]))
			return err_set(err, ERR_FAILED,
				       "kcore has too many address bases");
		if (k == count) {
			seen[k].base = load.base;
			seen[k].bytes = 0;
			count++;
		}
		seen[k].bytes += covered(&load, ranges);
		if (seen[k].bytes > seen[best].bytes)
			best = k;
	}
	if (!count || !seen[best].bytes)
		return err_set(err, ERR_FAILED,
			       "kcore has no segment of physical memory");
	*base = seen[best].base;
	return 0;
}

static int take_segments(struct kcore *kcore, const Elf64_Ehdr *ehdr, uint64_t ram_end,
			 uint64_t base, struct err *err)
{
	for (size_t i = 0; i < ehdr->e_phnum; i++) {
		struct load load;
		int is = read_load(kcore->fd, ehdr, i, ram_end, &load, err);

		if (is < 0)
			return -1;
		if (!is || load.base != base)
			continue;
		if (kcore->count == RANGES_MAX)
			return err_set(err, ERR_FAILED, "kcore has more than %d segments",
				       RANGES_MAX);
		kcore->at[kcore->count++] =
			(struct kcore_segment){ load.phys, load.len_bytes,
						load.file_off };
	}
	return 0;
}

int kcore_open(struct kcore *kcore, int proc_dirfd, const struct ranges *ranges,
	       struct err *err)
{
	uint64_t ram_end = ranges->at[ranges->count - 1].end;
	Elf64_Ehdr ehdr;
	ssize_t n;

	kcore->count = 0;
	kcore->fd = openat(proc_dirfd, "kcore", O_RDONLY | O_CLOEXEC);
	if (kcore->fd < 0 && errno == ENOENT)
		return err_set(err, ERR_REFUSED, "this kernel has no /proc/kcore");
	if (kcore->fd < 0)
		return err_sys(err, errno, "opening kcore");
	n = io_pread(kcore->fd, &ehdr, sizeof(ehdr), 0);
	if (n < 0)
		err_sys(err, errno, "reading kcore's header");
	else if (n != sizeof(ehdr))
		err_set(err, ERR_FAILED, "kcore ends inside its header");
	else if (check_header(&ehdr, err) == 0 &&
		 direct_map_base(kcore->fd, &ehdr, ranges, ram_end | 0xfff, &kcore->base,
				 err) == 0 &&
		 take_segments(kcore, &ehdr, ram_end | 0xfff, kcore->base, err) == 0)
		return 0;
	kcore_close(kcore);
	return -1;
}

static const struct kcore_segment *segment_at(const struct kcore *kcore, uint64_t phys)
{
	for (size_t i = 0; i < kcore->count; i++) {
		const struct kcore_segment *seg = &kcore->at[i];

		if (phys >= seg->phys && phys - seg->phys < seg->len_bytes)
			return seg;
	}
	return NULL;
}

ssize_t kcore_read(const struct kcore *kcore, uint64_t phys, void *buf, size_t len)
{
	const struct kcore_segment *seg = segment_at(kcore, phys);
	uint64_t skip;
	ssize_t n;

	if (!seg)
		return 0;
	skip = phys - seg->phys;
	if (len > seg->len_bytes - skip)
		len = (size_t)(seg->len_bytes - skip);
	do
		n = pread(kcore->fd, buf, len, (off_t)(seg->file_off + skip));
	while (n < 0 && errno == EINTR);
	return n;
}

uint64_t kcore_hole(const struct kcore *kcore, uint64_t phys, uint64_t len)
{
	if (segment_at(kcore, phys))
		return 0;
	for (size_t i = 0; i < kcore->count; i++)
		if (kcore->at[i].phys > phys && kcore->at[i].phys - phys < len)
			len = kcore->at[i].phys - phys;
	return len;
}

void kcore_close(struct kcore *kcore)
{
	io_close(&kcore->fd);
}
