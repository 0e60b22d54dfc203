#include "image/dirblock.h"

#include <string.h>

#define HEADER 8
#define TYPE_FILE 1
#define TYPE_DIR 2
#define TYPE_TAIL 0xde

static void put16(unsigned char *to, size_t value)
{
	to[0] = (unsigned char)value;
	to[1] = (unsigned char)(value >> 8);
}

static size_t need(size_t name_len)
{
	return (HEADER + name_len + 3) / 4 * 4;
}

static void put_entry(unsigned char *to, const struct dirblock_name *name, size_t rec_len)
{
	size_t len = strlen(name->name);

	to[0] = (unsigned char)name->ino;
	to[1] = (unsigned char)(name->ino >> 8);
	to[2] = (unsigned char)(name->ino >> 16);
	to[3] = (unsigned char)(name->ino >> 24);
	put16(to + 4, rec_len);
	to[6] = (unsigned char)len;
	to[7] = name->dir ? TYPE_DIR : TYPE_FILE;
	memcpy(to + HEADER, name->name, len);
}

size_t dirblock_pack(unsigned char block[DIRBLOCK_SIZE],
		     const struct dirblock_name *names, size_t count)
{
	const size_t end = DIRBLOCK_SIZE - DIRBLOCK_TAIL;
	size_t last = 0;
	size_t at = 0;
	size_t taken = 0;

	if (block)
		memset(block, 0, DIRBLOCK_SIZE);
	while (taken < count && at + need(strlen(names[taken].name)) <= end) {
		size_t rec_len = need(strlen(names[taken].name));

		if (block)
			put_entry(block + at, &names[taken], rec_len);
		last = at;
		at += rec_len;
		taken++;
	}
	if (!block)
		return taken;
	/* The last entry, or an unused one, reaches to the tail. */
	put16(block + last + 4, end - last);
	put16(block + end + 4, DIRBLOCK_TAIL);
	block[end + 7] = TYPE_TAIL;
	return taken;
}

int dirblock_parse(const unsigned char block[DIRBLOCK_SIZE],
		   int (*fn)(void *arg, const char *name, size_t len, uint32_t ino),
		   void *arg)
{
	size_t at = 0;

	while (at < DIRBLOCK_SIZE) {
		const unsigned char *entry = block + at;
		size_t left = DIRBLOCK_SIZE - at;
		uint32_t ino;
		size_t rec_len;
		size_t len;
		int rc;

		if (left < HEADER)
			return DIRBLOCK_BAD;
		ino = entry[0] | (uint32_t)entry[1] << 8 | (uint32_t)entry[2] << 16 |
		      (uint32_t)entry[3] << 24;
		rec_len = entry[4] | (size_t)entry[5] << 8;
		len = entry[6];
		if (rec_len < HEADER || rec_len % 4 != 0 || rec_len > left)
			return DIRBLOCK_BAD;
		at += rec_len;
		if (ino == 0)
			continue;
		if (HEADER + len > rec_len)
			return DIRBLOCK_BAD;
		rc = fn(arg, (const char *)entry + HEADER, len, ino);
		if (rc)
			return rc;
	}
	return 0;
}
