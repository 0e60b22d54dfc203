/*
 * The one entropy source of mbedTLS: the kernel's getrandom(2), which blocks until the
 * kernel's generator was seeded once, and opens no file.
 */
#include <errno.h>
#include <sys/random.h>

#include "mbedtls/build_info.h"

#include "entropy_poll.h"
#include "mbedtls/entropy.h"

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen)
{
	size_t have = 0;

	(void)data;
	*olen = 0;
	while (have < len) {
		ssize_t n = getrandom(output + have, len - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
		have += (size_t)n;
	}
	*olen = have;
	return 0;
}
