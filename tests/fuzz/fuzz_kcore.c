#include "tests/fuzz/scratch.h"
#include "toolkit/lib/kcore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t asked[] = { 0,	    0x1000,   0x9ffff,
					  0x100000, 0x4fffff, UINT64_MAX };
	static struct ranges ranges = { 2,
					{ { 0x1000, 0x9fbff }, { 0x100000, 0x4fffff } } };
	static struct kcore kcore;
	unsigned char buf[4096];
	struct err err;

	scratch_write("kcore", data, len);
	if (kcore_open(&kcore, scratch_dir(), &ranges, &err) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		uint64_t hole = kcore_hole(&kcore, asked[i], sizeof(buf));
		ssize_t n = kcore_read(&kcore, asked[i], buf, sizeof(buf));

		if (hole > sizeof(buf) || n > (ssize_t)sizeof(buf) || (hole && n > 0))
			abort();
	}
	kcore_close(&kcore);
	return 0;
}
