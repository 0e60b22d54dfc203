#include "toolkit/lib/vmlinux.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/elfnote.h"
#include "toolkit/lib/gzip.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lz4_legacy.h"
#include "toolkit/lib/xzfile.h"
#include "toolkit/lib/zstd_frame.h"

/* Documentation/x86/boot.rst: the setup header of a bzImage. */
#define SETUP_SECTS 0x1f1
#define SETUP_MAGIC 0x202
#define SETUP_VERSION 0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define PAYLOAD_PROTOCOL 0x208
/* Documentation/arm64/booting.rst: "ARM\x64". */
#define IMAGE_MAGIC 0x38
#define IMAGE_HEADER 64

static int unpack_zstd(const void *data, size_t len, void *out, size_t room, size_t *got,
		       struct err *err)
{
	const char *why = zstd_frame_unpack_any(data, len, out, room, got);

	return why ? err_set(err, ERR_FAILED, "zstd: %s", why) : 0;
}

static const struct packing {
	const char *magic;
	size_t magic_len;
	const char *name;
	/* NULL: not supported. */
	int (*unpack)(const void *data, size_t len, void *out, size_t room, size_t *got,
		      struct err *err);
} packings[] = {
	{ "\x1f\x8b\x08", 3, "gzip", gunzip },
	{ "\xfd"
	  "7zXZ",
	  6, "xz", xzfile_unpack },
	{ "\x5d\0\0", 3, "lzma", xzfile_unpack },
	{ "\x28\xb5\x2f\xfd", 4, "zstd", unpack_zstd },
	{ "\x02\x21\x4c\x18", 4, "lz4", lz4_legacy_unpack },
	{ "BZh", 3, "bzip2", NULL },
	{ "\x89LZO", 4, "lzo", NULL },
};

static const struct packing *find_packing(const unsigned char *data, size_t len)
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++)
		if (len > 16 &&
		    memcmp(data, packings[i].magic, packings[i].magic_len) == 0)
			return &packings[i];
	return NULL;
}

/* Unpacks into memory of which only what is filled is ever there. */
static int unpack(struct vmlinux *kernel, const unsigned char *data, size_t len,
		  struct err *err)
{
	const struct packing *packing = find_packing(data, len);

	if (!packing)
		return err_set(err, ERR_FAILED,
			       "the kernel is packed by a method that is not known");
	if (!packing->unpack)
		return err_set(err, ERR_FAILED,
			       "the kernel is packed by %s, which is "
			       "not supported",
			       packing->name);
	kernel->map_bytes = VMLINUX_BYTES_MAX;
	kernel->map = mmap(NULL, kernel->map_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (kernel->map == MAP_FAILED) {
		kernel->map = NULL;
		return err_sys(err, errno, "memory to unpack the kernel in");
	}
	if (packing->unpack(data, len, kernel->map, kernel->map_bytes, &kernel->len,
			    err) < 0)
		return err_prefix(err, "unpacking the kernel");
	kernel->data = kernel->map;
	return 0;
}

/* The packed kernel inside a bzImage. Returns -1 when the lengths do not fit. */
static int find_payload(const unsigned char *data, size_t len, size_t *off,
			size_t *payload_len, struct err *err)
{
	uint64_t begin, sects;

	if (get_le(data + SETUP_VERSION, 2) < PAYLOAD_PROTOCOL)
		return err_set(err, ERR_FAILED,
			       "a bzImage older than Linux 2.6.26 (boot protocol)");
	sects = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;
	begin = (sects + 1) * 512 + get_le(data + PAYLOAD_OFFSET, 4);
	*payload_len = get_le(data + PAYLOAD_LENGTH, 4);
	if (begin > len || *payload_len > len - begin)
		return err_set(err, ERR_FAILED, "the bzImage is cut off");
	*off = (size_t)begin;
	return 0;
}

static bool is_elf(const unsigned char *data, size_t len)
{
	return len >= sizeof(Elf64_Ehdr) && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static bool is_image(const unsigned char *data, size_t len)
{
	return len >= IMAGE_HEADER && memcmp(data + IMAGE_MAGIC, "ARM\x64", 4) == 0;
}

/* From what a boot loader takes to the kernel's own bytes. */
static int reach_kernel(struct vmlinux *kernel, const unsigned char *data, size_t len,
			struct err *err)
{
	size_t off = 0, payload_len = 0;

	kernel->data = data;
	kernel->len = len;
	if (len > PAYLOAD_LENGTH + 4 && memcmp(data + SETUP_MAGIC, "HdrS", 4) == 0) {
		if (find_payload(data, len, &off, &payload_len, err) < 0)
			return -1;
		return unpack(kernel, data + off, payload_len, err);
	}
	/* drivers/firmware/efi/libstub/zboot-header.S: payload offset and length. */
	if (len > IMAGE_HEADER && memcmp(data, "MZ\0\0zimg", 8) == 0) {
		off = get_le(data + 8, 4);
		payload_len = get_le(data + 12, 4);
		if (off > len || payload_len > len - off)
			return err_set(err, ERR_FAILED, "the zboot image is cut off");
		return unpack(kernel, data + off, payload_len, err);
	}
	if (!is_elf(data, len) && !is_image(data, len) && find_packing(data, len))
		return unpack(kernel, data, len, err);
	return 0;
}

static bool section_header(const unsigned char *elf, size_t len, size_t index,
			   Elf64_Shdr *header)
{
	Elf64_Ehdr head;
	uint64_t off;

	if (!is_elf(elf, len))
		return false;
	memcpy(&head, elf, sizeof(head));
	if (index >= head.e_shnum || head.e_shentsize != sizeof(*header) ||
	    head.e_shoff > len)
		return false;
	off = head.e_shoff + index * sizeof(*header);
	if (off > len || sizeof(*header) > len - off)
		return false;
	memcpy(header, elf + off, sizeof(*header));
	return true;
}

/*
 * A section of an ELF file by its name, whose bytes stand in the file, or NULL. *address
 * may be NULL.
 */
static const unsigned char *find_section(const unsigned char *elf, size_t len,
					 const char *name, size_t *section_len,
					 uint64_t *address)
{
	Elf64_Shdr strings, section;
	size_t name_size = strlen(name) + 1;
	Elf64_Ehdr head;

	if (!is_elf(elf, len))
		return NULL;
	memcpy(&head, elf, sizeof(head));
	if (!section_header(elf, len, head.e_shstrndx, &strings) ||
	    strings.sh_offset > len || strings.sh_size > len - strings.sh_offset)
		return NULL;
	for (size_t i = 0; section_header(elf, len, i, &section); i++) {
		if (section.sh_name > strings.sh_size ||
		    strings.sh_size - section.sh_name < name_size ||
		    memcmp(elf + strings.sh_offset + section.sh_name, name, name_size) !=
			    0)
			continue;
		if (section.sh_type == SHT_NOBITS || section.sh_offset > len ||
		    section.sh_size > len - section.sh_offset)
			return NULL;
		*section_len = (size_t)section.sh_size;
		if (address)
			*address = section.sh_addr;
		return elf + section.sh_offset;
	}
	return NULL;
}

const char *vmlinux_find_banner(const void *data, size_t len, size_t *banner_len)
{
	static const char begin[] = "Linux version ";
	const char *at = data, *end = at + len;

	while ((at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1))) {
		size_t room = (size_t)(end - at), n = sizeof(begin) - 1;
		const char *line = at++;
		bool numbered = false;

		if (room > VMLINUX_BANNER_MAX)
			room = VMLINUX_BANNER_MAX;
		if (n >= room || line[n] < '0' || line[n] > '9')
			continue;
		while (n < room && line[n] >= ' ' && line[n] <= '~')
			if (line[n++] == '#')
				numbered |= n < room && line[n] >= '0' && line[n] <= '9';
		/* Since 6.1 a draft of it stands there too, without the number ("# SMP").
		 */
		if (n == room || line[n] != '\n' || !numbered)
			continue;
		*banner_len = n + 1;
		return line;
	}
	return NULL;
}

bool vmlinux_release(const char *banner, size_t banner_len, char *release, size_t size)
{
	size_t begin = strlen("Linux version "), end = begin;

	while (end < banner_len && banner[end] > ' ')
		end++;
	if (end == begin || end >= banner_len || end - begin >= size)
		return false;
	memcpy(release, banner + begin, end - begin);
	release[end - begin] = '\0';
	return true;
}

static void set_build_id(struct vmlinux *kernel, const char *id, size_t len)
{
	if (!id || len == 0 || len > sizeof(kernel->build_id))
		return;
	memcpy(kernel->build_id, id, len);
	kernel->build_id_len = len;
}

/* Is off inside one of the ELF files (the vDSOs) that a raw image carries? */
static bool in_carried_elf(const struct vmlinux *kernel, size_t off)
{
	const unsigned char *at = kernel->data, *end = at + off;

	while ((at = memmem(at, (size_t)(end - at), ELFMAG, SELFMAG))) {
		size_t begin = (size_t)(at - kernel->data);
		bool wide = kernel->len - begin > EI_CLASS && at[EI_CLASS] == ELFCLASS64;
		uint64_t carried = 0;

		if (kernel->len - begin >= sizeof(Elf64_Ehdr)) {
			Elf64_Ehdr head;
			Elf32_Ehdr small;

			memcpy(&head, at, sizeof(head));
			memcpy(&small, at, sizeof(small));
			/* The section headers stand at its end. */
			carried = wide ? head.e_shoff + (uint64_t)head.e_shnum *
								head.e_shentsize
				       : small.e_shoff + (uint64_t)small.e_shnum *
								 small.e_shentsize;
		}
		if (off - begin < carried && carried <= 1u << 20)
			return true;
		at++;
	}
	return false;
}

/* A raw image has no sections: the only build id that is not a vDSO's. */
static void find_build_id(struct vmlinux *kernel)
{
	static const char head[] = "\4\0\0\0\x14\0\0\0\3\0\0\0GNU";
	const unsigned char *at = kernel->data, *end = at + kernel->len, *found = NULL;

	while ((at = memmem(at, (size_t)(end - at), head, sizeof(head)))) {
		size_t off = (size_t)(at - kernel->data);
		const unsigned char *id = at + sizeof(head);

		at++;
		if ((size_t)(end - id) < 20 || in_carried_elf(kernel, off))
			continue;
		if (found && memcmp(found, id, 20) != 0)
			return;
		found = id;
	}
	if (found)
		set_build_id(kernel, (const char *)found, 20);
}

/* Likewise: the longest piece that is BTF from end to end. */
static void find_btf(struct vmlinux *kernel)
{
	static const char head[] = "\x9f\xeb\x01\0\x18\0\0";
	const unsigned char *at = kernel->data, *end = at + kernel->len;

	while ((at = memmem(at, (size_t)(end - at), head, sizeof(head)))) {
		size_t len = btf_measure(at, (size_t)(end - at));
		struct err ignored;
		struct btf btf;

		if (len > kernel->btf_len && btf_open(&btf, at, len, &ignored) == 0) {
			kernel->btf = at;
			kernel->btf_len = len;
			btf_close(&btf);
		}
		at++;
	}
}

static void read_sections(struct vmlinux *kernel)
{
	const unsigned char *notes, *rodata;
	size_t len, id_len = 0;

	kernel->btf =
		find_section(kernel->data, kernel->len, ".BTF", &kernel->btf_len, NULL);
	if (!kernel->btf_len)
		kernel->btf = NULL;
	notes = find_section(kernel->data, kernel->len, ".notes", &len, NULL);
	if (notes) {
		const char *id = elfnote_find((const char *)notes, len, "GNU",
					      NT_GNU_BUILD_ID, &id_len);

		set_build_id(kernel, id, id_len);
	}
	rodata = find_section(kernel->data, kernel->len, ".rodata", &len, NULL);
	if (rodata)
		kernel->banner = vmlinux_find_banner(rodata, len, &kernel->banner_len);
}

static int look_inside(struct vmlinux *kernel, struct err *err)
{
	if (is_elf(kernel->data, kernel->len)) {
		Elf64_Ehdr head;

		memcpy(&head, kernel->data, sizeof(head));
		kernel->elf = true;
		kernel->machine = head.e_machine;
		if (head.e_ident[EI_CLASS] != ELFCLASS64 ||
		    head.e_ident[EI_DATA] != ELFDATA2LSB ||
		    (head.e_machine != EM_X86_64 && head.e_machine != EM_AARCH64))
			return err_set(err, ERR_FAILED,
				       "a kernel of another machine than x86_64 and "
				       "aarch64");
		read_sections(kernel);
	} else if (is_image(kernel->data, kernel->len)) {
		kernel->machine = EM_AARCH64;
		find_btf(kernel);
		find_build_id(kernel);
	} else {
		return err_set(err, ERR_FAILED,
			       "neither a bzImage, an arm64 Image nor a vmlinux");
	}
	if (!kernel->banner)
		kernel->banner = vmlinux_find_banner(kernel->data, kernel->len,
						     &kernel->banner_len);
	return 0;
}

int vmlinux_open(struct vmlinux *kernel, const void *data, size_t len, struct err *err)
{
	*kernel = (struct vmlinux){ 0 };
	if (reach_kernel(kernel, data, len, err) < 0 || look_inside(kernel, err) < 0) {
		vmlinux_close(kernel);
		return -1;
	}
	return 0;
}

void vmlinux_close(struct vmlinux *kernel)
{
	if (kernel->map)
		munmap(kernel->map, kernel->map_bytes);
	*kernel = (struct vmlinux){ 0 };
}
