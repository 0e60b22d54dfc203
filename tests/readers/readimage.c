/* Looks at memory images of any of our formats: see usage_text. */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/sha256.h>

#include "tests/readers/image.h"

#define PIECE 65536

static const char usage_text[] =
	"usage: readimage list IMAGE           range START END SHA256, neighbours joined\n"
	"       readimage compare IMAGE OTHER  is the memory the same, what is absent zero?\n"
	"       readimage extract IMAGE OUTPUT writes it as LiME\n"
	"       readimage flat IMAGE OUTPUT    writes each byte at its address, holes sparse\n"
	"       readimage tree IMAGE DIR       writes a proc of that memory: DIR/iomem, kcore\n"
	"Exit: 0; 1 not the same; 2 usage; 5 cannot be read.\n";

static void fail(const char *path, const char *why)
{
	fprintf(stderr, "readimage: %s: %s\n", path, why);
	exit(5);
}

static void open_path(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const uint8_t *data = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail(path, "cannot be opened");
	if (st.st_size)
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		fail(path, "cannot be mapped");
	close(fd);
	if (image_open(image, data, (uint64_t)st.st_size) < 0)
		fail(path, image->why);
}

/* The last segment of those that join segment n without a gap. */
static size_t joined(const struct image *image, size_t n)
{
	while (n + 1 < image->count &&
	       image->at[n].start + image->at[n].len == image->at[n + 1].start)
		n++;
	return n;
}

/* Calls piece with every byte of segments first to last. */
static void walk(struct image *image, size_t first, size_t last,
		 void (*piece)(void *arg, const uint8_t *data, size_t len), void *arg)
{
	static uint8_t buf[PIECE];

	for (size_t i = first; i <= last; i++) {
		for (uint64_t off = 0, n; off < image->at[i].len; off += n) {
			n = image->at[i].len - off;
			n = n < sizeof(buf) ? n : sizeof(buf);
			if (image_read(image, i, off, buf, (size_t)n) < 0)
				fail("reading", image->why);
			piece(arg, buf, (size_t)n);
		}
	}
}

static void hash_piece(void *arg, const uint8_t *data, size_t len)
{
	mbedtls_sha256_update(arg, data, len);
}

static int list(const char *path)
{
	struct image image;

	open_path(&image, path);
	for (size_t i = 0, last; i < image.count; i = last + 1) {
		mbedtls_sha256_context hash;
		uint8_t digest[32];

		last = joined(&image, i);
		mbedtls_sha256_init(&hash);
		mbedtls_sha256_starts(&hash, 0);
		walk(&image, i, last, hash_piece, &hash);
		mbedtls_sha256_finish(&hash, digest);
		printf("range %#llx %#llx ", (unsigned long long)image.at[i].start,
		       (unsigned long long)(image.at[last].start + image.at[last].len -
					    1));
		for (size_t byte = 0; byte < sizeof(digest); byte++)
			printf("%02x", digest[byte]);
		putchar('\n');
	}
	image_close(&image);
	return fflush(stdout) ? 5 : 0;
}

/* Walks over the memory of an image, segments and the gaps between them alike. */
struct cursor {
	struct image image;
	size_t segment;
	uint64_t off;
};

/* How many bytes from phys on lie in one segment (*data) or in none. */
static uint64_t stretch(struct cursor *cursor, uint64_t phys, bool *data)
{
	const struct image *image = &cursor->image;

	while (cursor->segment < image->count &&
	       image->at[cursor->segment].start + image->at[cursor->segment].len <= phys)
		cursor->segment++;
	*data = false;
	if (cursor->segment == image->count)
		return UINT64_MAX - phys;
	cursor->off = phys - image->at[cursor->segment].start;
	*data = phys >= image->at[cursor->segment].start;
	return *data ? image->at[cursor->segment].len - cursor->off
		     : image->at[cursor->segment].start - phys;
}

static void take(struct cursor *cursor, bool data, uint8_t *buf, size_t len)
{
	memset(buf, 0, len);
	if (data &&
	    image_read(&cursor->image, cursor->segment, cursor->off, buf, len) < 0)
		fail("reading", cursor->image.why);
}

static int compare(const char *path, const char *other)
{
	static struct cursor a, b;
	static uint8_t in_a[PIECE], in_b[PIECE];
	bool data_a, data_b;

	open_path(&a.image, path);
	open_path(&b.image, other);
	for (uint64_t phys = 0, n, m; phys != UINT64_MAX; phys += n) {
		n = stretch(&a, phys, &data_a);
		m = stretch(&b, phys, &data_b);
		n = n < m ? n : m;
		if (!data_a && !data_b)
			continue;
		n = n < PIECE ? n : PIECE;
		take(&a, data_a, in_a, (size_t)n);
		take(&b, data_b, in_b, (size_t)n);
		for (size_t i = 0; i < n; i++) {
			if (in_a[i] == in_b[i])
				continue;
			printf("differ at %#llx: %02x, %02x\n",
			       (unsigned long long)(phys + i), in_a[i], in_b[i]);
			return 1;
		}
	}
	image_close(&a.image);
	image_close(&b.image);
	return puts("same") < 0 || fflush(stdout) ? 5 : 0;
}

static void write_piece(void *arg, const uint8_t *data, size_t len)
{
	if (fwrite(data, 1, len, arg) != len)
		fail("output", "cannot be written");
}

static FILE *create(const char *dir, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s%s", dir, name[0] ? "/" : "", name);
	file = fopen(path, "wbx");
	if (!file)
		fail(path, "cannot be created");
	return file;
}

static int extract(const char *path, const char *output)
{
	FILE *file = create(output, "");
	struct image image;

	open_path(&image, path);
	for (size_t i = 0, last; i < image.count; i = last + 1) {
		uint64_t words[4] = { 0x14c694d45, image.at[i].start };

		last = joined(&image, i);
		words[2] = image.at[last].start + image.at[last].len - 1;
		write_piece(file, (const uint8_t *)words, sizeof(words));
		walk(&image, i, last, write_piece, file);
	}
	image_close(&image);
	return fclose(file) ? 5 : 0;
}

/* As write_piece(), but zeros are left to be a hole. */
static void flat_piece(void *arg, const uint8_t *data, size_t len)
{
	if (data[0] || memcmp(data, data + 1, len - 1))
		write_piece(arg, data, len);
	else if (fseeko(arg, (off_t)len, SEEK_CUR))
		fail("output", "cannot be written");
}

static int flat(const char *path, const char *output)
{
	FILE *file = create(output, "");
	struct image image;
	uint64_t end = 0;

	open_path(&image, path);
	for (size_t i = 0; i < image.count; i++) {
		if (fseeko(file, (off_t)image.at[i].start, SEEK_SET))
			fail(output, "cannot be written");
		walk(&image, i, i, flat_piece, file);
		end = image.at[i].start + image.at[i].len;
	}
	image_close(&image);
	/* The last bytes may be a hole. */
	if (fflush(file) || ftruncate(fileno(file), (off_t)end))
		fail(output, "cannot be written");
	return fclose(file) ? 5 : 0;
}

/* Where the direct map begins without KASLR. */
#define DIRECT_MAP 0xffff888000000000ull

static int tree(const char *path, const char *dir)
{
	FILE *iomem = create(dir, "iomem"), *kcore = create(dir, "kcore");
	Elf64_Ehdr ehdr = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_CORE,
			    .e_phoff = sizeof(ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr) };
	Elf64_Phdr phdr = { .p_type = PT_LOAD };
	struct image image;

	open_path(&image, path);
	for (size_t i = 0; i < image.count; i = joined(&image, i) + 1)
		ehdr.e_phnum++;
	phdr.p_offset = sizeof(ehdr) + ehdr.e_phnum * sizeof(phdr);
	write_piece(kcore, (const uint8_t *)&ehdr, sizeof(ehdr));
	for (size_t i = 0, last; i < image.count; i = last + 1) {
		last = joined(&image, i);
		phdr.p_paddr = image.at[i].start;
		phdr.p_vaddr = DIRECT_MAP + phdr.p_paddr;
		phdr.p_memsz = image.at[last].start + image.at[last].len - phdr.p_paddr;
		phdr.p_filesz = phdr.p_memsz;
		write_piece(kcore, (const uint8_t *)&phdr, sizeof(phdr));
		phdr.p_offset += phdr.p_memsz;
		fprintf(iomem, "%08llx-%08llx : System RAM\n",
			(unsigned long long)phdr.p_paddr,
			(unsigned long long)(phdr.p_paddr + phdr.p_memsz - 1));
	}
	walk(&image, 0, image.count - 1, write_piece, kcore);
	image_close(&image);
	return fclose(kcore) || fclose(iomem) ? 5 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "list"))
		return list(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "compare"))
		return compare(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "extract"))
		return extract(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "flat"))
		return flat(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "tree"))
		return tree(argv[2], argv[3]);
	fputs(usage_text, stderr);
	return 2;
}
