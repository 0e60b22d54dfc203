/* A symbol file of anybody's making, held against the rules by symbols --check. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/fuzz/scratch.h"
#include "toolkit/symbols/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct check_report report = { 0 };
	struct err err = { 0 };
	char path[64];
	int fd;

	scratch_write("isf", data, len);
	fd = openat(scratch_dir(), "isf", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (check_file(path, &report, &err) == 0 && !report.banner[0])
		abort();
	close(fd);
	unlinkat(scratch_dir(), "isf", 0);
	return 0;
}
