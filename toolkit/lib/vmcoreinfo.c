#include "toolkit/lib/vmcoreinfo.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* arch/x86/include/asm/page_64_types.h */
#define START_KERNEL_MAP 0xffffffff80000000u

const char *vmcoreinfo_line(const char *text, size_t len, const char *name,
			    size_t *value_len)
{
	size_t name_len = strlen(name);

	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t line_len = newline ? (size_t)(newline - text) : len;

		if (line_len > name_len && text[name_len] == '=' &&
		    memcmp(text, name, name_len) == 0) {
			*value_len = line_len - name_len - 1;
			return text + name_len + 1;
		}
		line_len += newline != NULL;
		text += line_len;
		len -= line_len;
	}
	return NULL;
}

/* A number of a line; it may have a sign, and 0x in front when base is 16. */
static bool parse_number(const char *text, size_t len, unsigned int base, uint64_t *value)
{
	bool negative = len && text[0] == '-';
	size_t at = negative;

	if (base == 16 && len - at > 2 && text[at] == '0' && text[at + 1] == 'x')
		at += 2;
	if (at == len)
		return false;
	*value = 0;
	for (; at < len; at++) {
		int c = tolower((unsigned char)text[at]);
		unsigned int digit = isdigit(c)		    ? (unsigned int)(c - '0')
				     : c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a' + 10)
							    : 16;

		if (digit >= base || *value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	if (negative)
		*value = -*value;
	return true;
}

static bool number(const struct vmcoreinfo *info, const char *name, unsigned int base,
		   uint64_t *value)
{
	size_t len;
	const char *at = vmcoreinfo_line(info->text, info->len, name, &len);

	return at && parse_number(at, len, base, value);
}

bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *addr)
{
	char line[80];
	int len = snprintf(line, sizeof(line), "SYMBOL(%s)", name);

	return (size_t)len < sizeof(line) && number(info, line, 16, addr);
}

bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, uint64_t *value)
{
	return number(info, name, 10, value);
}

/* Copies a value of printable characters. Returns false for another one. */
static bool copy_word(const struct vmcoreinfo *info, const char *name, char *to,
		      size_t max)
{
	size_t len;
	const char *at = vmcoreinfo_line(info->text, info->len, name, &len);

	if (!at || !len || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)at[i]))
			return false;
	memcpy(to, at, len);
	to[len] = '\0';
	return true;
}

/* How the image is mapped: each architecture has a line of its own. */
static int parse_mapping(struct vmcoreinfo *info, struct err *err)
{
	uint64_t value, levels = 0;
	bool x86;

	/* arm64 prints it as 0x..., x86_64 in decimal with a sign. */
	if (number(info, "NUMBER(phys_base)", 10, &value)) {
		info->machine = VMCOREINFO_X86_64;
		info->image_offset = START_KERNEL_MAP - value;
	} else if (number(info, "NUMBER(kimage_voffset)", 16, &value)) {
		info->machine = VMCOREINFO_AARCH64;
		info->image_offset = value;
	} else {
		return err_set(err, ERR_FAILED,
			       "VMCOREINFO has neither x86_64's phys_base nor arm64's "
			       "kimage_voffset");
	}
	/* arm64 before 5.0 and kernels without KASLR may have no such line. */
	x86 = info->machine == VMCOREINFO_X86_64;
	if (!number(info, "KERNELOFFSET", 16, &info->kaslr_shift)) {
		if (x86)
			return err_set(err, ERR_FAILED, "VMCOREINFO has no KERNELOFFSET");
		info->kaslr_shift = 0;
	}
	info->five_level_paging =
		x86 && number(info, "NUMBER(pgtable_l5_enabled)", 10, &levels) && levels;
	return 0;
}

int vmcoreinfo_parse(struct vmcoreinfo *info, const char *text, size_t len,
		     struct err *err)
{
	uint64_t page_bytes;

	*info = (struct vmcoreinfo){ .len = strnlen(text, len) };
	if (info->len >= sizeof(info->text))
		return err_set(err, ERR_FAILED, "VMCOREINFO is longer than %zu bytes",
			       sizeof(info->text) - 1);
	memcpy(info->text, text, info->len);
	if (!copy_word(info, "OSRELEASE", info->release, VMCOREINFO_RELEASE_MAX))
		return err_set(err, ERR_FAILED, "VMCOREINFO has no OSRELEASE");
	if (!number(info, "PAGESIZE", 10, &page_bytes))
		return err_set(err, ERR_FAILED, "VMCOREINFO has no PAGESIZE");
	copy_word(info, "BUILD-ID", info->build_id, VMCOREINFO_BUILD_ID_MAX);
	if (!vmcoreinfo_symbol(info, "_stext", &info->stext))
		info->stext = 0;
	return parse_mapping(info, err);
}
