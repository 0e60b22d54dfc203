/* What a machine boots, from a hostile host or package. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/vmlinux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vmlinux kernel;
	char release[64];
	struct err err;

	if (vmlinux_open(&kernel, data, len, &err) < 0)
		return 0;
	/* Every byte that is promised must be there. */
	if (kernel.btf && kernel.btf_len &&
	    memchr(kernel.btf + kernel.btf_len - 1, 1, 1) == kernel.data)
		abort();
	if (kernel.banner) {
		if (kernel.banner[kernel.banner_len - 1] != '\n')
			abort();
		vmlinux_release(kernel.banner, kernel.banner_len, release,
				sizeof(release));
	}
	vmlinux_close(&kernel);
	return 0;
}
