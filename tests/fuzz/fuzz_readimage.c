#include <stdlib.h>

#include "tests/readers/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The reader judges our images, and one day those that come back from a hostile host. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image image;
	uint8_t byte;

	if (image_open(&image, data, len) == 0) {
		for (size_t i = 0; i < image.count; i++)
			if (image_read(&image, i, image.at[i].len - 1, &byte, 1) < 0)
				abort();
	}
	image_close(&image);
	return 0;
}
