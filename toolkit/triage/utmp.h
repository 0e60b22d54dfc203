/* The file of who is logged in, of either layout that Linux has. */
#ifndef FVOL_TRIAGE_UTMP_H
#define FVOL_TRIAGE_UTMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* utmp(5): with times of 32 bits (x86_64, and aarch64 before glibc made its own), and of
 * 64 bits (aarch64). */
#define UTMP_RECORD_32 384
#define UTMP_RECORD_64 400
#define UTMP_USER_PROCESS 7

struct utmp_record {
	int type;
	int32_t pid;
	const char *line, *user, *host; /* in the record, not ended by NUL */
	size_t line_len, user_len, host_len;
	int64_t time_ns;
	char address[48]; /* "" when there is none */
};

/*
 * Which layout do these bytes have? UTMP_RECORD_32 or _64; 0 when neither fits: types are
 * 0 to 9 and microseconds below a million in every record.
 */
size_t utmp_layout(const void *bytes, size_t len_bytes);
/* Reads the record of record_bytes at bytes. */
void utmp_read(const void *bytes, size_t record_bytes, struct utmp_record *out);

#endif
