/* Is it UTF-8? Names and texts of a host may be any bytes, JSON may not. */
#ifndef FVOL_UTF8_H
#define FVOL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Length of the well-formed UTF-8 sequence at s, which a NUL ends at the latest; 0 when
 * there is none (RFC 3629).
 */
static inline size_t utf8_len(const unsigned char *s)
{
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* The same where nothing ends the text but its length, which is not 0. */
static inline size_t utf8_len_in(const char *s, size_t len_bytes)
{
	unsigned char copy[5] = { 0 };

	if (len_bytes >= 4)
		return utf8_len((const unsigned char *)s);
	memcpy(copy, s, len_bytes);
	return utf8_len(copy) <= len_bytes ? utf8_len(copy) : 0;
}

/* Is all of it UTF-8? NULs are. */
static inline bool utf8_valid(const char *s, size_t len_bytes)
{
	for (size_t at = 0, len; at < len_bytes; at += len) {
		len = utf8_len_in(s + at, len_bytes - at);
		if (!len)
			return false;
	}
	return true;
}

#endif
