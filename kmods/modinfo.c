#include "kmods/modinfo.h"

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A module has about fifty. */
#define SECTIONS_MAX 4096
#define MODVERSION_BYTES 64
#define NOTE_ALIGN(n) (((n) + 3) & ~(size_t)3)

struct field {
	const char *key;
	char *value;
	size_t size;
};

static int take_field(const struct field *field, const char *text, size_t len,
		      struct err *err)
{
	if (len >= field->size)
		return err_set(err, ERR_FAILED, ".modinfo: %s is too long", field->key);
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return err_set(err, ERR_FAILED, ".modinfo: %s is not printable",
				       field->key);
	}
	if (field->value[0] != '\0' &&
	    (strlen(field->value) != len || memcmp(field->value, text, len) != 0))
		return err_set(err, ERR_FAILED, ".modinfo: %s stands twice", field->key);
	memcpy(field->value, text, len);
	field->value[len] = '\0';
	return 0;
}

/* .modinfo is a row of key=value strings, each ended by one NUL or more. */
static int read_modinfo(const char *p, size_t len, struct modinfo *info, struct err *err)
{
	const struct field fields[] = {
		{ "name=", info->name, sizeof(info->name) },
		{ "vermagic=", info->vermagic, sizeof(info->vermagic) },
		{ "srcversion=", info->srcversion, sizeof(info->srcversion) },
	};

	while (len > 0) {
		size_t n = strnlen(p, len);

		if (n == len)
			return err_set(err, ERR_FAILED, ".modinfo: a string has no end");
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			size_t key = strlen(fields[i].key);

			if (n >= key && memcmp(p, fields[i].key, key) == 0 &&
			    take_field(&fields[i], p + key, n - key, err) < 0)
				return -1;
		}
		p += n + 1;
		len -= n + 1;
	}
	return 0;
}

/* elf(5): a note is three words, then a name and a descriptor, both padded to words. */
static int read_build_id(const unsigned char *p, size_t len, struct modinfo *info,
			 struct err *err)
{
	while (len >= 12) {
		uint32_t word[3]; /* name's size, descriptor's size, type */
		size_t name, desc;

		memcpy(word, p, sizeof(word));
		p += 12;
		len -= 12;
		name = NOTE_ALIGN((size_t)word[0]);
		desc = NOTE_ALIGN((size_t)word[1]);
		if (name > len || desc > len - name)
			return err_set(err, ERR_FAILED,
				       "a note leads out of its section");
		if (word[2] == NT_GNU_BUILD_ID && word[0] == 4 &&
		    memcmp(p, "GNU", 4) == 0) {
			if (word[1] == 0 || word[1] > (sizeof(info->build_id) - 1) / 2)
				return err_set(err, ERR_FAILED, "a build id of %u bytes",
					       word[1]);
			for (uint32_t i = 0; i < word[1]; i++)
				snprintf(info->build_id + 2 * i, 3, "%02x", p[name + i]);
		}
		p += name + desc;
		len -= name + desc;
	}
	return 0;
}

/* struct modversion_info: an unsigned long, and a name padded to 64 bytes in all. */
static int read_versions(const unsigned char *p, size_t len, struct modinfo *info,
			 struct err *err)
{
	if (len % MODVERSION_BYTES != 0 || info->version_count > 0)
		return err_set(err, ERR_FAILED, "__versions is not a table");
	if (len / MODVERSION_BYTES > MODINFO_VERSIONS_MAX)
		return err_set(err, ERR_FAILED, "__versions has more than %d symbols",
			       MODINFO_VERSIONS_MAX);
	for (; len > 0; p += MODVERSION_BYTES, len -= MODVERSION_BYTES) {
		struct modversion *v = &info->versions[info->version_count++];
		uint64_t crc;

		memcpy(&crc, p, sizeof(crc));
		memcpy(v->name, p + sizeof(crc), sizeof(v->name));
		if (crc > UINT32_MAX || v->name[0] == '\0' ||
		    !memchr(v->name, '\0', sizeof(v->name)))
			return err_set(err, ERR_FAILED, "__versions: symbol %zu is bad",
				       info->version_count);
		for (const char *c = v->name; *c; c++) {
			if (*c <= 0x20 || *c > 0x7e)
				return err_set(err, ERR_FAILED,
					       "__versions: symbol %zu is not printable",
					       info->version_count);
		}
		v->crc = (uint32_t)crc;
	}
	return 0;
}

static int read_section(Elf *elf, Elf_Scn *scn, size_t names, const char *data,
			size_t len, struct modinfo *info, struct err *err)
{
	const char *name;
	GElf_Shdr sh;
	bool modinfo, note, versions;

	if (!gelf_getshdr(scn, &sh) || !(name = elf_strptr(elf, names, sh.sh_name)))
		return err_set(err, ERR_FAILED, "ELF: %s", elf_errmsg(-1));
	modinfo = strcmp(name, ".modinfo") == 0 && sh.sh_type == SHT_PROGBITS;
	note = strcmp(name, ".note.gnu.build-id") == 0 && sh.sh_type == SHT_NOTE;
	versions = strcmp(name, "__versions") == 0 && sh.sh_type == SHT_PROGBITS;
	if (!modinfo && !note && !versions)
		return 0;
	if (sh.sh_flags & SHF_COMPRESSED || sh.sh_offset > len ||
	    sh.sh_size > len - sh.sh_offset)
		return err_set(err, ERR_FAILED, "section %s is not inside the file",
			       name);
	data += sh.sh_offset;
	if (modinfo)
		return read_modinfo(data, sh.sh_size, info, err);
	if (versions)
		return read_versions((const unsigned char *)data, sh.sh_size, info, err);
	return read_build_id((const unsigned char *)data, sh.sh_size, info, err);
}

static int read_elf(Elf *elf, const char *data, size_t len, struct modinfo *info,
		    struct err *err)
{
	Elf_Scn *scn = NULL;
	GElf_Ehdr eh;
	size_t names, count;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_type != ET_REL)
		return err_set(err, ERR_FAILED, "not a 64-bit relocatable ELF file");
	if (elf_getshdrnum(elf, &count) < 0 || elf_getshdrstrndx(elf, &names) < 0)
		return err_set(err, ERR_FAILED, "ELF: %s", elf_errmsg(-1));
	if (count > SECTIONS_MAX)
		return err_set(err, ERR_FAILED, "more than %d sections", SECTIONS_MAX);
	info->machine = eh.e_machine;
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		if (read_section(elf, scn, names, data, len, info, err) < 0)
			return -1;
	}
	if (info->name[0] == '\0' || info->vermagic[0] == '\0')
		return err_set(err, ERR_FAILED, "no name or no vermagic: not a module");
	return 0;
}

int modinfo_read(const void *data, size_t len_bytes, struct modinfo *info,
		 struct err *err)
{
	Elf *elf;
	int rc;

	memset(info, 0, sizeof(*info));
	if (elf_version(EV_CURRENT) == EV_NONE)
		return err_set(err, ERR_FAILED, "ELF: %s", elf_errmsg(-1));
	/* The library takes a char * but, opened so, only reads. */
	elf = elf_memory((char *)data, len_bytes);
	if (!elf)
		return err_set(err, ERR_FAILED, "ELF: %s", elf_errmsg(-1));
	rc = read_elf(elf, data, len_bytes, info, err);
	elf_end(elf);
	return rc;
}
