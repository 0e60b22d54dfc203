#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/lib/chunks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void tell(void *arg, const struct chunk_fault *fault)
{
	const struct chunk_image *image = arg;

	if (fault->off > image->size_bytes + 32 || fault->range.start > fault->range.end)
		abort();
}

static int memfd(const uint8_t *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || io_pwrite(fd, data, len, 0) < 0)
		abort();
	return fd;
}

/* The log, a line with ';', and the image; the log is written by a hostile host, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static _Alignas(IO_BLOCK) unsigned char window[IO_CHUNK_BYTES];
	static const struct decoder_ops *const formats[] = { &decoder_avml, &decoder_zst,
							     &decoder_lime };
	static struct decoder decoder;
	const uint8_t *split = memchr(data, ';', len);
	size_t log_len = split ? (size_t)(split - data) : len;
	struct chunk_image image;
	struct chunk_check check = { .tell = tell, .arg = &image };
	struct chunk_line line;
	struct err err;
	int log = memfd(data, log_len);
	int fd = split ? memfd(split + 1, len - log_len - 1) : memfd(data, 0);

	if (chunk_image_lime(&image, fd, window, &err) == 0)
		chunk_check(&check, log, &image, &err);
	lseek(log, 0, SEEK_SET);
	if (chunk_image_raw(&image, fd, window, &err) == 0)
		chunk_check(&check, log, &image, &err);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		lseek(log, 0, SEEK_SET);
		if (chunk_image_decoded(&image, fd, &decoder, formats[i], &err) == 0)
			chunk_check(&check, log, &image, &err);
		decoder_close(&decoder);
	}
	chunk_line_parse((const char *)data, len, &line);
	close(log);
	close(fd);
	return 0;
}
