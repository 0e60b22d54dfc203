/*
 * A decoder of snappy's block format, written from its description and from nothing else:
 * the encoder under test shares no line with it.
 */
#ifndef FVOL_TESTS_UNSNAPPY_H
#define FVOL_TESTS_UNSNAPPY_H

#include <stddef.h>
#include <stdint.h>

/* Decodes a block into out. Returns the plain length, or -1: damaged, or over max bytes.
 */
long unsnappy(const uint8_t *block, size_t len, uint8_t *out, size_t max);

/* Masked CRC-32C as the framing format's section 3 defines it, a bit at a time. */
uint32_t unsnappy_checksum(const uint8_t *data, size_t len);

#endif
