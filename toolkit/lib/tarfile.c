#include "toolkit/lib/tarfile.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Where the fields of a header stand, and how long they are. */
enum {
	MODE_AT = 100,
	UID_AT = 108,
	GID_AT = 116,
	SIZE_AT = 124,
	SIZE_LEN = 12,
	TIME_AT = 136,
	SUM_AT = 148,
	SUM_LEN = 8,
	TYPE_AT = 156,
	MAGIC_AT = 257,
	PREFIX_AT = 345,
};

/* "ustar", NUL, and the version "00". */
static const char magic[8] = { 'u', 's', 't', 'a', 'r', 0, '0', '0' };

/* Of all bytes, those of the sum itself counted as blanks. */
static unsigned checksum(const unsigned char header[TARFILE_BLOCK])
{
	unsigned sum = 0;

	for (size_t i = 0; i < TARFILE_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : header[i];
	return sum;
}

/* digits octal digits and a NUL. */
static void put_octal(unsigned char *at, int digits, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*llo", digits, (unsigned long long)value);
	memcpy(at, text, (size_t)digits + 1);
}

static void put_sum(unsigned char header[TARFILE_BLOCK])
{
	/* Six digits, a NUL and a blank: so since the first tar. */
	put_octal(header + SUM_AT, 6, checksum(header));
	header[SUM_AT + SUM_LEN - 1] = ' ';
}

void tarfile_header(unsigned char header[TARFILE_BLOCK], const char *name,
		    uint64_t size_bytes, int64_t time_s)
{
	memset(header, 0, TARFILE_BLOCK);
	memcpy(header, name, strnlen(name, TARFILE_NAME_MAX));
	put_octal(header + MODE_AT, 7, 0600);
	put_octal(header + UID_AT, 7, 0);
	put_octal(header + GID_AT, 7, 0);
	put_octal(header + SIZE_AT, 11, size_bytes & TARFILE_SIZE_MAX);
	put_octal(header + TIME_AT, 11, (uint64_t)time_s & TARFILE_SIZE_MAX);
	header[TYPE_AT] = '0';
	memcpy(header + MAGIC_AT, magic, sizeof(magic));
	put_sum(header);
}

void tarfile_header_in(unsigned char header[TARFILE_BLOCK], const char *dir,
		       const char *name, uint64_t size_bytes, int64_t time_s)
{
	tarfile_header(header, name, size_bytes, time_s);
	memcpy(header + PREFIX_AT, dir, strnlen(dir, TARFILE_PREFIX_MAX));
	put_sum(header);
}

/* Octal digits, ended by a NUL, a blank or the field's end. */
static bool take_octal(const unsigned char *at, size_t len, uint64_t *value)
{
	size_t i = 0;

	*value = 0;
	for (; i < len && at[i] >= '0' && at[i] <= '7'; i++)
		*value = *value << 3 | (uint64_t)(at[i] - '0');
	return i && (i == len || at[i] == 0 || at[i] == ' ');
}

static bool is_end(const unsigned char *header)
{
	return header[0] == 0 && memcmp(header, header + 1, TARFILE_BLOCK - 1) == 0;
}

int tarfile_find(const void *archive, size_t archive_len, const char *name,
		 const void **data, size_t *data_len)
{
	const unsigned char *at = archive, *end = at + archive_len;

	for (;;) {
		uint64_t size, sum, padded;

		if ((size_t)(end - at) < TARFILE_BLOCK)
			return -1;
		if (is_end(at))
			return 0;
		if (memcmp(at + MAGIC_AT, magic, sizeof(magic)) != 0 ||
		    !take_octal(at + SUM_AT, SUM_LEN, &sum) || sum != checksum(at) ||
		    !take_octal(at + SIZE_AT, SIZE_LEN, &size))
			return -1;
		padded = (size + TARFILE_BLOCK - 1) / TARFILE_BLOCK * TARFILE_BLOCK;
		if (padded > (size_t)(end - at) - TARFILE_BLOCK)
			return -1;
		if (at[TYPE_AT] == '0' &&
		    strnlen((const char *)at, TARFILE_NAME_MAX + 1) == strlen(name) &&
		    memcmp(at, name, strlen(name)) == 0) {
			*data = at + TARFILE_BLOCK;
			*data_len = (size_t)size;
			return 1;
		}
		at += TARFILE_BLOCK + padded;
	}
}
