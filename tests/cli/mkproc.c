/* mkproc DIR [CUT [VMCOREINFO]]: writes the fake proc tree into DIR, kcore CUT bytes
 * short and with a note of that text. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/fakeproc.h"

int main(int argc, char **argv)
{
	int dirfd = argc >= 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;

	if (dirfd < 0 || fakeproc_write(dirfd, FAKE_IOMEM,
					argc > 2 ? strtoull(argv[2], NULL, 0) : 0) < 0) {
		perror("mkproc");
		return 5;
	}
	if (argc > 3 && fakeproc_add_vmcoreinfo(dirfd, argv[3]) < 0) {
		perror("mkproc: VMCOREINFO");
		return 5;
	}
	return 0;
}
