/*
 * The only program of a boot test's guest: loads the LiME module as capture does, reads
 * its whole stream, and says in one line whether the stream has the ranges of this
 * kernel's /proc/iomem and, at their physical addresses, pages that were marked before.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/limeload.h"
#include "toolkit/lib/limestream.h"

#define MODULE_BYTES_MAX (16u << 20)
/* Under emulation on a loaded machine; the host ends the guest at last. */
#define STALL_MS 120000
#define MARKED_PAGES 64
#define READ_BYTES (1u << 20)
/* Of a pagemap entry: proc_pid_pagemap(5). */
#define PRESENT (1ULL << 63)
#define PFN ((1ULL << 55) - 1)

struct marks {
	unsigned char *pages;
	size_t page_bytes;
	uint64_t phys[MARKED_PAGES];
	bool seen[MARKED_PAGES];
};

/* Different in every page and word, so that a page in another's place is no match. */
static uint64_t mark_of(size_t page, size_t word)
{
	return (0x9e3779b97f4a7c15ULL * (page + 1)) ^
	       (0xbf58476d1ce4e5b9ULL * (word + 1));
}

static int mount_proc(struct err *err)
{
	if ((mkdir("/proc", 0755) < 0 && errno != EEXIST) ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		return err_sys(err, errno, "mounting /proc");
	return 0;
}

/* The module's stream comes over it, and kernels begin with it down. */
static int raise_loopback(struct err *err)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		rc = err_sys(err, errno, "raising lo");
	io_close(&fd);
	return rc;
}

static int mark(struct marks *m, struct err *err)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), rc = -1;
	size_t words;

	memset(m, 0, sizeof(*m));
	m->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	words = m->page_bytes / sizeof(uint64_t);
	m->pages = mmap(NULL, MARKED_PAGES * m->page_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || m->pages == MAP_FAILED) {
		err_sys(err, errno, "marking pages");
		goto out;
	}
	/* What holds them must not make other pages of them, as huge ones. */
	madvise(m->pages, MARKED_PAGES * m->page_bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < MARKED_PAGES * words; i++)
		((uint64_t *)(void *)m->pages)[i] = mark_of(i / words, i % words);
	/* The child of limeload must not get copies: MADV_DONTFORK leaves these alone. */
	if (mlock(m->pages, MARKED_PAGES * m->page_bytes) < 0 ||
	    madvise(m->pages, MARKED_PAGES * m->page_bytes, MADV_DONTFORK) < 0) {
		err_sys(err, errno, "locking marked pages");
		goto out;
	}
	for (size_t i = 0; i < MARKED_PAGES; i++) {
		uint64_t entry, at = (uintptr_t)m->pages / m->page_bytes + i;

		if (io_pread(fd, &entry, sizeof(entry), at * sizeof(entry)) !=
			    sizeof(entry) ||
		    !(entry & PRESENT) || !(entry & PFN)) {
			err_set(err, ERR_FAILED, "where a marked page is cannot be read");
			goto out;
		}
		m->phys[i] = (entry & PFN) * m->page_bytes;
	}
	rc = 0;
out:
	io_close(&fd);
	return rc;
}

/* Looks for marked pages in bytes of the stream. */
static int look(struct marks *m, uint64_t phys, const unsigned char *data, size_t len,
		struct err *err)
{
	for (size_t i = 0; i < MARKED_PAGES; i++) {
		if (m->phys[i] < phys || m->phys[i] - phys + m->page_bytes > len)
			continue;
		if (memcmp(data + (m->phys[i] - phys), m->pages + i * m->page_bytes,
			   m->page_bytes) != 0)
			return err_set(err, ERR_FAILED,
				       "the page at 0x%llx has other bytes in the dump",
				       (unsigned long long)m->phys[i]);
		m->seen[i] = true;
	}
	return 0;
}

/* What could be read of one range, in whole pages; *got counts. */
static int read_range(struct limestream *stream, const struct range *range,
		      struct marks *m, unsigned char *buf, uint64_t *got, struct err *err)
{
	uint64_t phys = range->start;

	while (phys <= range->end) {
		uint64_t left = range->end - phys + 1, hole;
		size_t want = left < READ_BYTES ? (size_t)left : READ_BYTES, len = 0;

		/* Of a range that ends inside a page LiME has zeros, not memory. */
		hole = limestream_hole(stream, phys, left);
		if (hole > 0) {
			phys += hole;
			continue;
		}
		while (len < want) {
			ssize_t n = limestream_read(stream, phys + len, buf + len,
						    want - len);

			if (n < 0 && errno == EPROTO)
				return err_set(
					err, ERR_FAILED,
					"the dump's ranges are not those of iomem");
			if (n < 0)
				return err_sys(err, errno, "reading the dump at 0x%llx",
					       (unsigned long long)(phys + len));
			if (n == 0)
				break;
			len += (size_t)n;
		}
		if (len == 0)
			return err_set(err, ERR_FAILED, "the dump has no byte at 0x%llx",
				       (unsigned long long)phys);
		if (look(m, phys, buf, len, err) < 0)
			return -1;
		*got += len;
		phys += len;
	}
	return 0;
}

static int read_dump(struct limeload *load, const struct ranges *ranges, struct marks *m,
		     uint64_t *got, struct err *err)
{
	unsigned char *buf = malloc(READ_BYTES), more;
	struct limestream stream;
	int rc = 0;

	if (!buf)
		return err_sys(err, errno, "reading the dump");
	limestream_init(&stream, load->socket, ranges, STALL_MS, m->page_bytes);
	for (size_t i = 0; rc == 0 && i < ranges->count; i++)
		rc = read_range(&stream, &ranges->at[i], m, buf, got, err);
	for (size_t i = 0; rc == 0 && i < MARKED_PAGES; i++) {
		if (!m->seen[i])
			rc = err_set(err, ERR_FAILED, "a marked page is not in the dump");
	}
	/* Zeros of a last range's end may follow, but nothing like another header. */
	while (rc == 0 && recv(load->socket, &more, 1, 0) == 1) {
		if (more != 0)
			rc = err_set(err, ERR_FAILED, "the dump goes on behind iomem");
	}
	free(buf);
	return rc;
}

static int test(struct ranges *ranges, uint64_t *got, struct err *err)
{
	struct limeload load = { .status_fd = -1, .socket = -1 };
	int proc = -1, fd = -1, rc = -1;
	struct err stopped;
	struct marks marks;
	char *module = NULL;
	size_t len;

	if (mount_proc(err) < 0 || raise_loopback(err) < 0 || mark(&marks, err) < 0)
		return -1;
	proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = open("/lime.ko", O_RDONLY | O_CLOEXEC);
	if (proc < 0 || fd < 0)
		return err_sys(err, errno, "opening /proc and /lime.ko");
	module = io_read_direct(fd, MODULE_BYTES_MAX, &len, err);
	if (!module || ranges_read_iomem(proc, ranges, err) < 0)
		return -1;
	if (limeload_start(&load, proc, module, len, err) == 0)
		rc = read_dump(&load, ranges, &marks, got, err);
	if (limeload_stop(&load, &stopped) < 0) {
		/* A load that was refused: the kernel's word. After it: what we saw. */
		if (load.socket < 0 || rc == 0)
			*err = stopped;
		rc = -1;
	}
	if (rc == 0 && limeload_present(proc) != 0)
		rc = err_set(err, ERR_FAILED, "the module is still loaded");
	return rc;
}

int main(void)
{
	static struct ranges ranges;
	struct err err = { 0 };
	uint64_t got = 0;

	/* One write each: what the kernel prints may come between two. */
	if (test(&ranges, &got, &err) == 0)
		dprintf(1, "\nfvol-boot-test: passed, %zu ranges, %llu bytes\n",
			ranges.count, (unsigned long long)got);
	else
		dprintf(1, "\nfvol-boot-test: failed, %s\n", err.text);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
