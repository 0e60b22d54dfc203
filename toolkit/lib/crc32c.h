/*
 * CRC-32C (Castagnoli), the checksum of snappy's framing format: RFC 3720, appendix B.4
 * has examples.
 */
#ifndef FVOL_CRC32C_H
#define FVOL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Continues crc, 0 at the beginning, over len bytes. Uses the processor's instruction
 * (SSE4.2, ARMv8 CRC) where it has one, else a table.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len_bytes);

/* The same result without the processor's instruction. For tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len_bytes);

#endif
