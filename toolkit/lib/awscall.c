#include "toolkit/lib/awscall.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define CAP_MS 20000

bool awscall_region(const char *region)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strlen(region);

	return len && len < 40 && strspn(region, allowed) == len;
}

size_t awscall_headers(const struct sigv4_request *request, const char *token,
		       const struct sigv4_headers *signature, struct http_header *headers)
{
	size_t n;

	for (n = 0; n + 1 < request->n_headers; n++)
		headers[n] = (struct http_header){ request->headers[n + 1].name,
						   request->headers[n + 1].value };
	headers[n++] = (struct http_header){ "X-Amz-Date", signature->date };
	if (token[0])
		headers[n++] = (struct http_header){ "X-Amz-Security-Token", token };
	headers[n++] = (struct http_header){ "Authorization", signature->authorization };
	return n;
}

void awscall_wait(unsigned base_ms, unsigned attempt,
		  const volatile sig_atomic_t *interrupted)
{
	uint64_t most = (uint64_t)base_ms << (attempt < 12 ? attempt : 12);
	uint32_t random = 0;
	uint64_t ms;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = UINT32_MAX / 2;
	ms = (most < CAP_MS ? most : CAP_MS) * random / UINT32_MAX;
	while (ms && !(interrupted && *interrupted)) {
		uint64_t step = ms < 100 ? ms : 100;

		nanosleep(&(struct timespec){ .tv_nsec = (long)step * 1000000 }, NULL);
		ms -= step;
	}
}

bool awscall_adopt_clock(const struct http_wanted *date, time_t *skew_s)
{
	struct tm tm = { 0 };
	time_t skew;

	if (!date->found || !strptime(date->value, "%a, %d %b %Y %H:%M:%S", &tm))
		return false;
	skew = timegm(&tm) - time(NULL);
	if (skew - *skew_s > -60 && skew - *skew_s < 60)
		return false;
	*skew_s = skew;
	return true;
}
