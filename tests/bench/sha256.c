/*
 * SHA-256 as the tools do it, of a buffer that stays in the cache, by CPU time: what
 * `openssl speed` measures. sha256 SECONDS [two]; prints MB/s, with `two` of bytes that
 * go into two hashes at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/sha256.h"

int main(int argc, char **argv)
{
	static unsigned char buf[256 * 1024], others[256 * 1024];
	int64_t limit = (argc > 1 ? atoi(argv[1]) : 2) * INT64_C(1000000000);
	int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), took;
	uint8_t digest[SHA256_LEN];
	bool two = argc > 2 && strcmp(argv[2], "two") == 0;
	bool other = argc > 2 && strcmp(argv[2], "other") == 0;
	struct sha256 whole, part;
	double bytes = 0;

	sha256_init(&whole);
	do {
		sha256_init(&part);
		if (two || other)
			sha256_update_two(&whole, other ? others : buf, sizeof(buf),
					  &part, buf, sizeof(buf));
		else
			sha256_update(&part, buf, sizeof(buf));
		sha256_final(&part, digest);
		buf[0] = digest[0];
		bytes += sizeof(buf);
		took = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	} while (took < limit);
	printf("%.0f\n", bytes * 1000 / (double)took);
	return 0;
}
