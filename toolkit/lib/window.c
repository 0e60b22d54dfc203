#include "toolkit/lib/window.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

int window_reserve(struct window *window, size_t len_bytes, struct err *err)
{
	/* A piece may begin anywhere in its first block and end anywhere in its last. */
	size_t need = (len_bytes / IO_BLOCK + 3) * IO_BLOCK;
	void *map;

	if (need <= window->map_bytes)
		return 0;
	map = mmap(NULL, need, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (map == MAP_FAILED)
		return err_sys(err, errno, "taking %zu bytes to read into", need);
	if (window->buf)
		munmap(window->buf, window->map_bytes);
	window->buf = map;
	window->map_bytes = need;
	window->fill_bytes = 0;
	return 0;
}

int window_open(struct window *window, int fd, size_t step_bytes, struct err *err)
{
	struct stat st;

	*window = (struct window){ .fd = fd, .step_bytes = step_bytes };
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "examining the file");
	window->size_bytes = (uint64_t)st.st_size;
	return window_reserve(window, WINDOW_BYTES, err);
}

void window_close(struct window *window)
{
	if (window->buf)
		munmap(window->buf, window->map_bytes);
	window->buf = NULL;
	window->map_bytes = 0;
}

/* Reads from the block of off on, at least to off + len where the file has it. */
static int fill(struct window *window, uint64_t off, size_t len, struct err *err)
{
	size_t before = (size_t)(off % IO_BLOCK);
	size_t want = before + (len > window->step_bytes ? len : window->step_bytes);
	ssize_t n = 0;
	uint64_t expect;

	want = (want + IO_BLOCK - 1) / IO_BLOCK * IO_BLOCK;
	if (want > window->map_bytes)
		want = window->map_bytes;
	window->off = off - before;
	window->fill_bytes = 0;
	/* Not beyond the end: there O_DIRECT may call the offset unaligned. */
	expect = window->size_bytes - window->off;
	if (expect > want)
		expect = want;
	while (window->fill_bytes < expect) {
		n = pread(window->fd, window->buf + window->fill_bytes,
			  want - window->fill_bytes,
			  (off_t)(window->off + window->fill_bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		window->fill_bytes += (size_t)n;
	}
	if (n < 0)
		return err_sys(err, errno, "reading at byte %llu",
			       (unsigned long long)window->off);
	return 0;
}

const unsigned char *window_at(struct window *window, uint64_t off, size_t len_bytes,
			       struct err *err)
{
	uint64_t have;

	if (off > window->size_bytes || len_bytes > window->size_bytes - off) {
		err_set(err, ERR_FAILED,
			"the file ends at byte %llu, inside %zu bytes from byte %llu on",
			(unsigned long long)window->size_bytes, len_bytes,
			(unsigned long long)off);
		return NULL;
	}
	if (len_bytes > window->map_bytes - 2 * IO_BLOCK) {
		err_set(err, ERR_FAILED, "%zu bytes at byte %llu are too many", len_bytes,
			(unsigned long long)off);
		return NULL;
	}
	if ((off < window->off || off + len_bytes > window->off + window->fill_bytes) &&
	    fill(window, off, len_bytes, err) < 0)
		return NULL;
	have = window->off + window->fill_bytes;
	if (off + len_bytes > have) {
		err_set(err, ERR_FAILED, "the file was cut at byte %llu while it is read",
			(unsigned long long)have);
		return NULL;
	}
	return window->buf + (off - window->off);
}
