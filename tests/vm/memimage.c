#include "memimage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIME_MAGIC 0x4c694d45u
#define LIME_HEADER 32

static uint64_t get64(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static int add_segment(struct mem_image *img, uint64_t start, uint64_t len, uint64_t off)
{
	if (img->count == MEM_SEGMENTS || !len || off > img->size ||
	    len > img->size - off)
		return -1;
	if (img->count) {
		const struct mem_segment *last = &img->seg[img->count - 1];
		if (start < last->start + last->len)
			return -1;
	}
	img->seg[img->count++] = (struct mem_segment){ start, len, off };
	return 0;
}

static int read_lime(struct mem_image *img, const char *program, const char *path)
{
	for (uint64_t at = 0; at < img->size;) {
		const unsigned char *h = img->bytes + at;

		if (img->size - at < LIME_HEADER || get32(h) != LIME_MAGIC ||
		    get32(h + 4) != 1 || get64(h + 24) != 0) {
			fprintf(stderr, "%s: %s: no LiME v1 header at offset %llu\n",
				program, path, (unsigned long long)at);
			return -1;
		}
		uint64_t start = get64(h + 8), end = get64(h + 16);
		if (end < start || end - start == UINT64_MAX ||
		    add_segment(img, start, end - start + 1, at + LIME_HEADER) < 0) {
			fprintf(stderr,
				"%s: %s: the range %llx-%llx at offset %llu is not whole "
				"or not in order\n",
				program, path, (unsigned long long)start,
				(unsigned long long)end, (unsigned long long)at);
			return -1;
		}
		at += LIME_HEADER + (end - start + 1);
	}
	return 0;
}

static int read_map(struct mem_image *img, const char *program, const char *path)
{
	unsigned long long start, len, off;
	char name[4200];
	int n;

	snprintf(name, sizeof(name), "%s.map", path);
	FILE *in = fopen(name, "re");
	if (!in) {
		if (errno == ENOENT)
			return add_segment(img, 0, img->size, 0);
		fprintf(stderr, "%s: %s: %s\n", program, name, strerror(errno));
		return -1;
	}
	while ((n = fscanf(in, "%llx %llx %llx", &start, &len, &off)) == 3)
		if (add_segment(img, start, len, off) < 0)
			break;
	fclose(in);
	if (n == EOF && img->count)
		return 0;
	fprintf(stderr, "%s: %s does not describe %s\n", program, name, path);
	return -1;
}

int mem_open(struct mem_image *img, const char *program, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(img, 0, sizeof(*img));
	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "%s: %s: %s\n", program, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	img->size = (uint64_t)st.st_size;
	void *map = img->size ? mmap(NULL, img->size, PROT_READ, MAP_PRIVATE, fd, 0)
			      : MAP_FAILED;
	close(fd);
	if (map == MAP_FAILED) {
		fprintf(stderr, "%s: %s: empty, or cannot be mapped\n", program, path);
		return -1;
	}
	img->bytes = map;
	if (img->size >= 4 && get32(img->bytes) == LIME_MAGIC) {
		img->is_lime = 1;
		return read_lime(img, program, path);
	}
	return read_map(img, program, path);
}

const unsigned char *mem_at(const struct mem_image *img, uint64_t phys, uint64_t *len)
{
	for (size_t i = 0; i < img->count; i++) {
		const struct mem_segment *s = &img->seg[i];
		if (phys < s->start || phys - s->start >= s->len)
			continue;
		*len = s->len - (phys - s->start);
		return img->bytes + s->off + (phys - s->start);
	}
	return NULL;
}

static int is_ram(const char *name)
{
	size_t n = strlen("System RAM");

	/* Also "System RAM (kmem)" and "System RAM (virtio_mem)". */
	return !strncmp(name, "System RAM", n) &&
	       (name[n] == '\0' || name[n] == '\n' || name[n] == ' ');
}

int mem_ranges(struct mem_ranges *r, const char *program, const char *path)
{
	char line[512];
	FILE *in = fopen(path, "re");

	r->count = 0;
	if (!in) {
		fprintf(stderr, "%s: %s: %s\n", program, path, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), in)) {
		unsigned long long start, end;
		int name = 0;

		if (sscanf(line, " %llx-%llx : %n", &start, &end, &name) < 2 || !name ||
		    !is_ram(line + name))
			continue;
		if (end <= start || r->count == MEM_SEGMENTS) {
			r->count = 0;
			break;
		}
		/* A range inside the last one is a part of it. */
		if (r->count &&
		    start <= r->seg[r->count - 1].start + r->seg[r->count - 1].len - 1)
			continue;
		r->seg[r->count++] = (struct mem_segment){ start, end - start + 1, 0 };
	}
	fclose(in);
	if (!r->count)
		fprintf(stderr, "%s: %s: no System RAM ranges (was it read as root?)\n",
			program, path);
	return r->count ? 0 : -1;
}
