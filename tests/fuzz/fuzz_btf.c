/* BTF of a hostile host, and what is written of it. */
#include <stdint.h>
#include <stdlib.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/isf.h"
#include "toolkit/lib/isf_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int drop(void *context, const void *piece, size_t len, struct err *err)
{
	(void)context;
	(void)piece;
	(void)len;
	(void)err;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char banner[] = "Linux version 1 #1\n";
	struct symtab symbols = { .sorted = true };
	struct isf_input input = { .symbols = &symbols,
				   .banner = banner,
				   .banner_len = sizeof(banner) - 1 };
	char name[ISF_NAME_SIZE];
	struct isf_result result;
	struct isf_types types;
	struct err err;
	struct btf btf;

	if (btf_measure(data, len) > len)
		abort();
	if (btf_open(&btf, data, len, &err) < 0)
		return 0;
	input.btf = &btf;
	input.all = len % 2;
	isf_write(&input, drop, NULL, &result, &err);
	if (isf_types_open(&types, &btf, &err) == 0) {
		for (uint32_t id = 0; id < btf.count; id++) {
			isf_types_want(&types, id);
			isf_types_name(&types, id, name);
		}
		isf_types_close(&types);
	}
	btf_close(&btf);
	return 0;
}
