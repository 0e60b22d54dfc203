/*
 * limecheck: holds a memory dump against what the guest and its hypervisor say.
 */
#include "litter.h"
#include "memimage.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "limecheck"
enum { YES = 0, NO = 1, USAGE = 2, FAILED = 5 };

static const char usage_text[] =
	"usage: limecheck ranges DUMP IOMEM           the dump's ranges are exactly System RAM\n"
	"       limecheck compare DUMP BEFORE AFTER   pages equal to the saves before and after\n"
	"       limecheck each DUMP BEFORE AFTER      the same for each range by itself, with\n"
	"                                             BEFORE's litter (see marked) in it\n"
	"       limecheck find DUMP PHYSICAL HEXFILE  the bytes stand at that (hex) address\n"
	"       limecheck planted DUMP PLANT          all pages of `vmctl plant' are there\n"
	"       limecheck marked DUMP BEFORE          how much of the save's litter is there\n"
	"DUMP is LiME v1 (or a raw save), BEFORE and AFTER are raw saves. Results are printed\n"
	"as one line of NAME=VALUE (each: a line a range). Exit: 0 yes; 1 no; 2 usage; 5 unreadable.\n";

/* Images are large structures of pointers into maps; the program is too short to free. */
static struct mem_image dump, before, after;

static int ranges(const char *iomem)
{
	struct mem_ranges want;
	int differ = 0;

	if (!dump.is_lime) {
		fprintf(stderr, PROGRAM ": not a LiME v1 file\n");
		return NO;
	}
	if (mem_ranges(&want, PROGRAM, iomem) < 0)
		return FAILED;
	for (size_t i = 0; i < dump.count || i < want.count; i++) {
		const struct mem_segment *d = i < dump.count ? &dump.seg[i] : NULL;
		const struct mem_segment *w = i < want.count ? &want.seg[i] : NULL;

		if (d && w && d->start == w->start && d->len == w->len)
			continue;
		differ = 1;
		fprintf(stderr, PROGRAM ": range %zu: ", i);
		if (d)
			fprintf(stderr, "dump has %llx-%llx, ",
				(unsigned long long)d->start,
				(unsigned long long)(d->start + d->len - 1));
		else
			fprintf(stderr, "dump has none, ");
		if (w)
			fprintf(stderr, "iomem %llx-%llx\n", (unsigned long long)w->start,
				(unsigned long long)(w->start + w->len - 1));
		else
			fprintf(stderr, "iomem none\n");
	}
	printf("ranges=%zu expected=%zu bytes=%llu exact=%s\n", dump.count, want.count,
	       (unsigned long long)(dump.size - 32 * dump.count), differ ? "no" : "yes");
	return differ ? NO : YES;
}

/* Whether the image holds these bytes at phys: 1, 0, or -1 when it has not that address.
 */
static int same(const struct mem_image *img, uint64_t phys, const unsigned char *bytes,
		uint64_t n)
{
	uint64_t len;
	const unsigned char *p = mem_at(img, phys, &len);

	return !p || len < n ? -1 : !memcmp(p, bytes, n);
}

struct tally {
	unsigned long long pages, as_before, as_after, either, absent, marked, kept;
};

static void compare_segment(const struct mem_segment *s, struct tally *t)
{
	for (uint64_t done = 0; done < s->len;) {
		uint64_t phys = s->start + done, have;
		uint64_t n = MEM_PAGE - phys % MEM_PAGE;

		/* A range may begin or end within a page. */
		if (n > s->len - done)
			n = s->len - done;
		const unsigned char *p = dump.bytes + s->off + done;
		const unsigned char *was = mem_at(&before, phys, &have);
		int b = same(&before, phys, p, n), a = same(&after, phys, p, n);
		int marked = n == MEM_PAGE && was && have >= n && litter_is(was);

		t->pages++;
		t->absent += b < 0 || a < 0;
		t->as_before += b == 1;
		t->as_after += a == 1;
		t->either += a == 1 || b == 1;
		t->marked += marked;
		t->kept += marked && b == 1;
		done += n;
	}
}

static int compare(void)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < dump.count; i++)
		compare_segment(&dump.seg[i], &t);
	printf("pages=%llu before=%llu after=%llu either=%llu neither=%llu absent=%llu "
	       "before_percent=%.3f either_percent=%.3f\n",
	       t.pages, t.as_before, t.as_after, t.either, t.pages - t.either, t.absent,
	       100.0 * (double)t.as_before / (double)t.pages,
	       100.0 * (double)t.either / (double)t.pages);
	return t.absent ? NO : YES;
}

static int each(void)
{
	unsigned long long absent = 0;

	for (size_t i = 0; i < dump.count; i++) {
		struct tally t = { 0 };

		compare_segment(&dump.seg[i], &t);
		absent += t.absent;
		printf("start=%llx pages=%llu before=%llu either=%llu absent=%llu marked=%llu "
		       "kept=%llu\n",
		       (unsigned long long)dump.seg[i].start, t.pages, t.as_before,
		       t.either, t.absent, t.marked, t.kept);
	}
	return absent ? NO : YES;
}

static int hex_digit(int c)
{
	return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* Reads pairs of hex digits, blanks between them ignored, up to a line's end (or a
 * file's). */
static long read_hex(FILE *in, unsigned char *out, size_t size, int one_line)
{
	size_t n = 0;
	int high = -1, c;

	while ((c = getc(in)) != EOF && !(one_line && c == '\n')) {
		if (isspace(c))
			continue;
		if (!isxdigit(c) || n == size)
			return -1;
		if (high < 0) {
			high = hex_digit(c);
		} else {
			out[n++] = (unsigned char)(high << 4 | hex_digit(c));
			high = -1;
		}
	}
	return high < 0 ? (long)n : -1;
}

static int find(const char *address, const char *hexfile)
{
	static unsigned char want[1 << 20];
	char *end;
	uint64_t phys = strtoull(address, &end, 16);

	if (*end || !*address)
		return USAGE;
	FILE *in = fopen(hexfile, "re");
	long n = in ? read_hex(in, want, sizeof(want), 0) : -1;
	if (in)
		fclose(in);
	if (n <= 0) {
		fprintf(stderr, PROGRAM ": %s: no bytes in hex\n", hexfile);
		return FAILED;
	}
	int is = same(&dump, phys, want, (uint64_t)n);
	printf("found=%s\n", is == 1 ? "yes" : is == 0 ? "no" : "absent");
	return is == 1 ? YES : NO;
}

static int planted(const char *plant)
{
	unsigned char page[MEM_PAGE];
	unsigned long long phys;
	size_t pages = 0, found = 0;
	FILE *in = fopen(plant, "re");

	if (!in) {
		fprintf(stderr, PROGRAM ": %s: %s\n", plant, strerror(errno));
		return FAILED;
	}
	while (fscanf(in, "%llx", &phys) == 1) {
		if (read_hex(in, page, sizeof(page), 1) != MEM_PAGE) {
			fprintf(stderr, PROGRAM ": %s: line %zu is not a page\n", plant,
				pages + 1);
			fclose(in);
			return FAILED;
		}
		pages++;
		found += same(&dump, phys, page, MEM_PAGE) == 1;
	}
	fclose(in);
	printf("planted=%zu found=%zu\n", pages, found);
	return pages && found == pages ? YES : NO;
}

static int marked(void)
{
	unsigned long long pages = 0, kept = 0, outside = 0;

	for (size_t i = 0; i < before.count; i++) {
		const struct mem_segment *s = &before.seg[i];
		for (uint64_t done = 0; done + MEM_PAGE <= s->len; done += MEM_PAGE) {
			const unsigned char *p = before.bytes + s->off + done;
			if (!litter_is(p))
				continue;
			int is = same(&dump, s->start + done, p, MEM_PAGE);
			pages++;
			kept += is == 1;
			outside += is < 0;
		}
	}
	printf("marked=%llu kept=%llu absent=%llu percent=%.3f\n", pages, kept, outside,
	       pages ? 100.0 * (double)kept / (double)pages : 0.0);
	return pages ? YES : NO;
}

int main(int argc, char **argv)
{
	int rc = USAGE;

	if (argc >= 4 && mem_open(&dump, PROGRAM, argv[2]) < 0)
		return FAILED;
	if (argc == 4 && !strcmp(argv[1], "ranges"))
		rc = ranges(argv[3]);
	else if (argc == 5 && (!strcmp(argv[1], "compare") || !strcmp(argv[1], "each")))
		rc = mem_open(&before, PROGRAM, argv[3]) < 0 ||
				     mem_open(&after, PROGRAM, argv[4]) < 0
			     ? FAILED
		     : argv[1][0] == 'c' ? compare()
					 : each();
	else if (argc == 5 && !strcmp(argv[1], "find"))
		rc = find(argv[3], argv[4]);
	else if (argc == 4 && !strcmp(argv[1], "planted"))
		rc = planted(argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "marked"))
		rc = mem_open(&before, PROGRAM, argv[3]) < 0 ? FAILED : marked();
	if (rc == USAGE)
		fputs(usage_text, stderr);
	if (fflush(stdout) || ferror(stdout))
		return FAILED;
	return rc;
}
