#include "toolkit/triage/utmp.h"

#include <arpa/inet.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* Both architectures are little-endian. */
enum {
	AT_TYPE = 0,
	AT_PID = 4,
	AT_LINE = 8,
	AT_USER = 44,
	AT_HOST = 76,
	AT_SESSION = 336, /* 32 or 64 bits, then the times */
	LINE_BYTES = 32,
	USER_BYTES = 32,
	HOST_BYTES = 256,
	TYPES = 10,
};

static int64_t seconds(const unsigned char *record, size_t record_bytes)
{
	return record_bytes == UTMP_RECORD_64
		       ? (int64_t)get_le(record + AT_SESSION + 8, 8)
		       : (int32_t)get_le(record + AT_SESSION + 4, 4);
}

static int64_t microseconds(const unsigned char *record, size_t record_bytes)
{
	return record_bytes == UTMP_RECORD_64
		       ? (int64_t)get_le(record + AT_SESSION + 16, 8)
		       : (int32_t)get_le(record + AT_SESSION + 8, 4);
}

static bool fits(const unsigned char *bytes, size_t len_bytes, size_t record_bytes)
{
	if (len_bytes % record_bytes)
		return false;
	for (size_t at = 0; at < len_bytes; at += record_bytes) {
		int64_t us = microseconds(bytes + at, record_bytes);

		if (get_le(bytes + at, 2) >= TYPES || us < 0 || us >= 1000000)
			return false;
	}
	return true;
}

size_t utmp_layout(const void *bytes, size_t len_bytes)
{
	if (fits(bytes, len_bytes, UTMP_RECORD_32))
		return UTMP_RECORD_32;
	return fits(bytes, len_bytes, UTMP_RECORD_64) ? UTMP_RECORD_64 : 0;
}

void utmp_read(const void *bytes, size_t record_bytes, struct utmp_record *out)
{
	const unsigned char *at = bytes;
	const unsigned char *address = at + (record_bytes == UTMP_RECORD_64 ? 360 : 348);
	int64_t sec = seconds(at, record_bytes);
	static const unsigned char none[16];

	*out = (struct utmp_record){
		.type = (int)get_le(at, 2),
		.pid = (int32_t)get_le(at + AT_PID, 4),
		.line = (const char *)at + AT_LINE,
		.user = (const char *)at + AT_USER,
		.host = (const char *)at + AT_HOST,
		.line_len = strnlen((const char *)at + AT_LINE, LINE_BYTES),
		.user_len = strnlen((const char *)at + AT_USER, USER_BYTES),
		.host_len = strnlen((const char *)at + AT_HOST, HOST_BYTES),
	};
	/* Beyond the year 2200 nobody has logged in. */
	if (sec >= 0 && sec < (int64_t)230 * 366 * 86400)
		out->time_ns = sec * 1000000000 + microseconds(at, record_bytes) * 1000;
	/* An IPv4 address is in the first word, the others are 0. */
	if (memcmp(address + 4, none, 12) != 0)
		inet_ntop(AF_INET6, address, out->address, sizeof(out->address));
	else if (memcmp(address, none, 4) != 0)
		inet_ntop(AF_INET, address, out->address, sizeof(out->address));
}
