/*
 * Known contents at known physical addresses: what a dump of the guest must hold.
 */
#include "agent.h"
#include "litter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PLANT_MAX 65536
#define PFN_MASK ((1ull << 55) - 1)
#define PRESENT (1ull << 63)

static int write_pipe(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(fd, p, len);
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Anonymous memory that stays where it is: locked, and not collapsed into huge pages. */
static unsigned char *own_memory(size_t len)
{
	unsigned char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	(void)madvise(mem, len, MADV_NOHUGEPAGE);
	return mem;
}

static int fill_random(unsigned char *mem, size_t len)
{
	while (len) {
		ssize_t n = getrandom(mem, len < 256 ? len : 256, 0);
		if (n <= 0)
			return -1;
		mem += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Memory compaction moves even locked pages (seen on arm64: a third of a plant had moved
 * by the time of the save), unless this setting says that it may not.
 */
static int forbid_moves(void)
{
	int fd = open("/proc/sys/vm/compact_unevictable_allowed", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, "0", 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

/* The child of a plant: reports its pages through out and then stays. Returns an errno.
 */
static int plant_child(uint32_t pages, int out)
{
	size_t len = (size_t)pages * PAGE;
	unsigned char *mem = own_memory(len);
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (!mem || map < 0 || forbid_moves() < 0 || mlock(mem, len) < 0 ||
	    fill_random(mem, len) < 0)
		return errno;
	for (uint32_t i = 0; i < pages; i++) {
		uint64_t entry, phys;
		off_t at = (off_t)((uintptr_t)(mem + (size_t)i * PAGE) / PAGE *
				   sizeof(entry));

		if (pread(map, &entry, sizeof(entry), at) != sizeof(entry))
			return errno;
		if (!(entry & PRESENT) || !(entry & PFN_MASK))
			return EPERM;
		phys = (entry & PFN_MASK) * PAGE;
		if (write_pipe(out, &phys, sizeof(phys)) < 0 ||
		    write_pipe(out, mem + (size_t)i * PAGE, PAGE) < 0)
			return errno;
	}
	return 0;
}

static int read_pages(struct agent *a, uint64_t tag, uint32_t pages, int in)
{
	static unsigned char rec[8 + PAGE];

	for (uint32_t i = 0; i < pages; i++) {
		for (size_t have = 0; have < sizeof(rec);) {
			ssize_t n = read(in, rec + have, sizeof(rec) - have);
			if (n <= 0)
				return -1;
			have += (size_t)n;
		}
		send_frame(a, F_STDOUT, tag, rec, sizeof(rec));
	}
	return 0;
}

void answer_plant(struct agent *a, const struct frame *f)
{
	const unsigned char *p = f->data;
	uint32_t pages;
	int fds[2];

	errno = EINVAL;
	if (next_u32(&p, p + f->len_bytes, &pages) || !pages || pages > PLANT_MAX ||
	    pipe2(fds, O_CLOEXEC) < 0) {
		send_errno(a, f->tag, "plant");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_NAME, "planted");
		close(fds[0]);
		int rc = plant_child(pages, fds[1]);
		close(fds[1]);
		while (!rc)
			pause();
		_exit(1);
	}
	close(fds[1]);
	if (pid > 0 && read_pages(a, f->tag, pages, fds[0]) == 0) {
		send_ok(a, f->tag, "%d", (int)pid);
	} else {
		errno = ENOMEM;
		send_errno(a, f->tag, "plant: the child could not lock its pages");
		if (pid > 0)
			kill(pid, SIGKILL);
	}
	close(fds[0]);
}

/*
 * Fills pages with marked contents and gives them back to the kernel, as a program that
 * an intruder ran and ended: evidence that only a dump which does not use up free memory
 * keeps.
 */
void answer_litter(struct agent *a, const struct frame *f)
{
	const unsigned char *p = f->data;
	uint32_t pages;
	int status;

	errno = EINVAL;
	if (next_u32(&p, p + f->len_bytes, &pages) || !pages) {
		send_errno(a, f->tag, "litter");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		unsigned char *mem = own_memory((size_t)pages * PAGE);
		if (!mem)
			_exit(1);
		for (uint32_t i = 0; i < pages; i++)
			litter_fill(mem + (size_t)i * PAGE, i);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status)) {
		errno = ENOMEM;
		send_errno(a, f->tag, "litter");
		return;
	}
	send_ok(a, f->tag, "%u", pages);
}
