#include "toolkit/lib/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#define CRC_TARGET "+crc"
#define CRC_BYTE(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
#define CRC_WORD(crc, word) __builtin_aarch64_crc32cx(crc, word)
#elif defined(__x86_64__)
#define CRC_TARGET "sse4.2"
#define CRC_BYTE(crc, byte) __builtin_ia32_crc32qi(crc, byte)
#define CRC_WORD(crc, word) (uint32_t) __builtin_ia32_crc32di(crc, word)
#else
#error "no CRC instruction known for this architecture"
#endif

static bool have_instruction(void)
{
#if defined(__aarch64__)
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
#else
	return __builtin_cpu_supports("sse4.2");
#endif
}

__attribute__((target(CRC_TARGET))) static uint32_t
by_instruction(uint32_t crc, const unsigned char *at, size_t len)
{
	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		crc = CRC_WORD(crc, word);
	}
	for (; len; at++, len--)
		crc = CRC_BYTE(crc, *at);
	return crc;
}

/* Half a byte a step: the remainders of the sixteen 4-bit values by 0x82f63b78. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len_bytes)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const unsigned char *at = data;

	crc = ~crc;
	for (size_t i = 0; i < len_bytes; i++) {
		crc ^= at[i];
		crc = table[crc & 15] ^ crc >> 4;
		crc = table[crc & 15] ^ crc >> 4;
	}
	return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len_bytes)
{
	if (!have_instruction())
		return crc32c_portable(crc, data, len_bytes);
	return ~by_instruction(~crc, data, len_bytes);
}
