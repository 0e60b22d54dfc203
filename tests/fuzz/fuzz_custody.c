#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A whole log; and a chain that is said to hold has no byte outside its lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct custody_line line;
	struct custody_summary summary = { .last = &line };
	struct err err;
	int fd = memfd_create("log", MFD_CLOEXEC);

	if (fd < 0 || io_pwrite(fd, data, len, 0) < 0)
		abort();
	if (custody_verify(fd, NULL, NULL, NULL, &summary, &err) == 0 && len &&
	    (!summary.lines || data[len - 1] != '\n' || line.seq != summary.lines))
		abort();
	close(fd);
	custody_parse((const char *)data, len, &line);
	return 0;
}
