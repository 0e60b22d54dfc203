/*
 * avmllike: a peer for the benchmark. Copies System RAM from /proc/kcore to a LiME file
 * as readers of kcore commonly do: 4 KiB at a time, through the page cache. It shares no
 * code with the toolkit, and is no tool to take evidence with.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u
#define RANGES_MAX 256
#define LOADS_MAX 256

struct range {
	uint64_t start;
	uint64_t end; /* inclusive */
};

struct lime_header {
	uint32_t magic;
	uint32_t version;
	uint64_t start;
	uint64_t end;
	uint64_t reserved;
};

static struct range ram[RANGES_MAX];
static size_t ram_count;
static Elf64_Phdr loads[LOADS_MAX];
static size_t load_count;

static int failed(const char *what)
{
	fprintf(stderr, "avmllike: %s: %s\n", what,
		errno ? strerror(errno) : "not as expected");
	return -1;
}

static int read_iomem(void)
{
	FILE *in = fopen("/proc/iomem", "re");
	char line[256], name[128];

	if (!in)
		return failed("/proc/iomem");
	while (fgets(line, sizeof(line), in)) {
		struct range r;
		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %127[^\n]", &r.start, &r.end,
			   name) != 3 ||
		    strcmp(name, "System RAM"))
			continue;
		if (ram_count == RANGES_MAX)
			break;
		ram[ram_count++] = r;
	}
	fclose(in);
	errno = 0;
	return ram_count && ram_count < RANGES_MAX ? 0 : failed("/proc/iomem");
}

static int read_kcore_headers(int fd)
{
	Elf64_Ehdr ehdr;

	errno = 0;
	if (pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr) || ehdr.e_phnum > LOADS_MAX)
		return failed("/proc/kcore: header");
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr *p = &loads[load_count];
		off_t at = (off_t)(ehdr.e_phoff + i * sizeof(*p));

		if (pread(fd, p, sizeof(*p), at) != sizeof(*p))
			return failed("/proc/kcore: program headers");
		load_count += p->p_type == PT_LOAD && p->p_paddr != UINT64_MAX;
	}
	return 0;
}

/* Returns the place in kcore of a physical address, or -1. */
static off_t kcore_offset(uint64_t phys, size_t len)
{
	for (size_t i = 0; i < load_count; i++) {
		const Elf64_Phdr *p = &loads[i];
		if (phys >= p->p_paddr && phys - p->p_paddr < p->p_memsz &&
		    p->p_memsz - (phys - p->p_paddr) >= len)
			return (off_t)(p->p_offset + (phys - p->p_paddr));
	}
	return -1;
}

static int put(int out, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(out, p, len);
		if (n < 0)
			return failed("write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What cannot be read is zero: the benchmark compares speed and damage, not care. */
static int copy_range(int kcore, int out, const struct range *r)
{
	static unsigned char block[BLOCK];
	struct lime_header header = { 0x4c694d45, 1, r->start, r->end, 0 };

	if (put(out, &header, sizeof(header)) < 0)
		return -1;
	for (uint64_t phys = r->start; phys <= r->end;) {
		size_t len = BLOCK - phys % BLOCK;
		if (len > r->end - phys + 1)
			len = (size_t)(r->end - phys + 1);
		off_t at = kcore_offset(phys, len);
		if (at < 0 || pread(kcore, block, len, at) != (ssize_t)len)
			memset(block, 0, len);
		if (put(out, block, len) < 0)
			return -1;
		phys += len;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 || argv[1][0] == '-') {
		fputs("usage: avmllike FILE\nExit: 0 copied; 2 usage; 5 failed.\n",
		      stderr);
		return 2;
	}
	int kcore = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (kcore < 0) {
		failed("/proc/kcore");
		return 5;
	}
	int out = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = out < 0 ? failed(argv[1]) : 0;
	if (rc == 0)
		rc = read_iomem();
	if (rc == 0)
		rc = read_kcore_headers(kcore);
	for (size_t i = 0; rc == 0 && i < ram_count; i++)
		rc = copy_range(kcore, out, &ram[i]);
	if (out >= 0 && close(out) < 0)
		rc = failed("close");
	close(kcore);
	return rc ? 5 : 0;
}
