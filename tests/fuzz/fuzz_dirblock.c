#include <stdlib.h>
#include <string.h>

#include "image/dirblock.h"
#include "image/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	const char *from;
	size_t names;
};

static int look(void *arg, const char *name, size_t len, uint32_t ino)
{
	struct seen *seen = arg;

	/* Inside the block, in use, and never more than the block can hold. */
	if (name < seen->from || name + len > seen->from + DIRBLOCK_SIZE || ino == 0 ||
	    ++seen->names > DIRBLOCK_SIZE / 8)
		abort();
	path_name_fault(name, len);
	return 0;
}

/* The input is a block, cut or filled up with zeros. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned char *block = calloc(1, DIRBLOCK_SIZE);
	struct seen seen = { (const char *)block, 0 };

	if (!block)
		abort();
	memcpy(block, data, len < DIRBLOCK_SIZE ? len : DIRBLOCK_SIZE);
	dirblock_parse(block, look, &seen);
	free(block);
	return 0;
}
