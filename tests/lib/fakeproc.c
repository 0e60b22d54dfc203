#include "tests/lib/fakeproc.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DIRECT_MAP 0xffff888000000000ull
#define TEXT 0xffffffff80000000ull
#define VMALLOC 0xffffc90000000000ull
#define DATA_OFF 0x4000
#define NOTE_OFF 0x2000

static const struct {
	uint64_t phys, len, base;
} loads[] = {
	/* Kernel text: the same memory at another base. */
	{ 0x200000, 0x100000, TEXT },
	/* vmalloc, as new kernels (-1) and old ones (0) show it. */
	{ UINT64_MAX, 0x200000000000, VMALLOC },
	{ 0, 0x200000000000, VMALLOC },
	{ 0x1000, 0x9e000, DIRECT_MAP },
	{ 0x100000, 0x180000, DIRECT_MAP },
	{ 0x280000, 0x280000, DIRECT_MAP },
	{ 0x100000000, 0x100000, DIRECT_MAP },
	{ 0x200000000, 0x100000, DIRECT_MAP },
};
#define LOADS (sizeof(loads) / sizeof(loads[0]))

uint64_t fake_word(uint64_t phys)
{
	return phys ^ 0x5a5a000000000000ull;
}

static int write_data(int fd, uint64_t phys, uint64_t len, uint64_t off)
{
	uint64_t page[512];

	for (uint64_t at = 0; at < len; at += sizeof(page)) {
		for (size_t i = 0; i < 512; i++)
			page[i] = fake_word(phys + at + 8 * i);
		if (pwrite(fd, page, sizeof(page), (off_t)(off + at)) != sizeof(page))
			return -1;
	}
	return 0;
}

static int write_kcore(int fd, uint64_t cut_bytes)
{
	Elf64_Ehdr ehdr = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_CORE,
			    .e_phoff = sizeof(ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = LOADS };
	Elf64_Phdr phdr[LOADS];
	uint64_t off = DATA_OFF;

	memset(phdr, 0, sizeof(phdr));
	for (size_t i = 0; i < LOADS; i++) {
		phdr[i].p_type = PT_LOAD;
		phdr[i].p_paddr = loads[i].phys;
		phdr[i].p_vaddr = loads[i].base + loads[i].phys;
		phdr[i].p_memsz = loads[i].len;
		phdr[i].p_offset = off;
		if (loads[i].base != DIRECT_MAP)
			continue;
		if (write_data(fd, loads[i].phys, loads[i].len, off) < 0)
			return -1;
		off += loads[i].len;
	}
	if (pwrite(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr) ||
	    pwrite(fd, phdr, sizeof(phdr), sizeof(ehdr)) != sizeof(phdr))
		return -1;
	return ftruncate(fd, (off_t)(off - cut_bytes));
}

int fakeproc_write(int dirfd, const char *iomem, uint64_t cut_bytes)
{
	int fd = openat(dirfd, "iomem", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = -1;

	if (fd < 0)
		return -1;
	if (write(fd, iomem, strlen(iomem)) == (ssize_t)strlen(iomem))
		rc = 0;
	close(fd);
	if (rc < 0)
		return -1;
	fd = openat(dirfd, "kcore", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	rc = write_kcore(fd, cut_bytes);
	close(fd);
	return rc;
}

static int write_note(int fd, const char *text)
{
	static const char name[12] = "VMCOREINFO";
	Elf64_Nhdr note = { .n_namesz = sizeof("VMCOREINFO"),
			    .n_descsz = (Elf64_Word)strlen(text) };
	uint64_t len = sizeof(note) + sizeof(name) + (strlen(text) + 3) / 4 * 4;
	Elf64_Phdr phdr = { .p_type = PT_NOTE, .p_offset = NOTE_OFF, .p_filesz = len };
	Elf64_Ehdr ehdr;

	if (pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr) ||
	    pwrite(fd, &note, sizeof(note), NOTE_OFF) != sizeof(note) ||
	    pwrite(fd, name, sizeof(name), NOTE_OFF + sizeof(note)) != sizeof(name) ||
	    pwrite(fd, text, strlen(text), NOTE_OFF + sizeof(note) + sizeof(name)) !=
		    (ssize_t)strlen(text))
		return -1;
	if (pwrite(fd, &phdr, sizeof(phdr),
		   (off_t)(sizeof(ehdr) + ehdr.e_phnum * sizeof(phdr))) != sizeof(phdr))
		return -1;
	ehdr.e_phnum++;
	return pwrite(fd, &ehdr, sizeof(ehdr), 0) == sizeof(ehdr) ? 0 : -1;
}

int fakeproc_add_vmcoreinfo(int dirfd, const char *text)
{
	int fd = openat(dirfd, "kcore", O_RDWR | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -1;
	rc = write_note(fd, text);
	close(fd);
	return rc;
}
