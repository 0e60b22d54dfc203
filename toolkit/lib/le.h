/* Little-endian fields of file formats, whatever their alignment. */
#ifndef FVOL_LE_H
#define FVOL_LE_H

#include <stddef.h>
#include <stdint.h>

static inline void put_le(unsigned char *to, uint64_t value, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++)
		to[i] = (unsigned char)(value >> 8 * i);
}

static inline uint64_t get_le(const unsigned char *from, size_t len_bytes)
{
	uint64_t value = 0;

	for (size_t i = len_bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

#endif
