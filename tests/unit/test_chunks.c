#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/chunks.h"
#include "toolkit/lib/lime.h"

/* Three ranges, the second and third adjacent, chunks of 8 KiB and a ragged end. */
#define CHUNK 8192
static const struct range ranges[] = {
	{ 0x1000, 0x1000 + 5 * CHUNK - 1 },
	{ 0x100000, 0x100000 + 3 * CHUNK - 1 },
	{ 0x100000 + 3 * CHUNK, 0x100000 + 5 * CHUNK + 99 },
};

static unsigned char lime[200000], raw[0x100000 + 8 * CHUNK];
static size_t lime_len, raw_len, header_off[3];
static char log_text[10000];
static size_t log_len;

static void make(void)
{
	lime_len = log_len = 0;
	for (size_t r = 0; r < 3; r++) {
		size_t len = (size_t)range_bytes(&ranges[r]);

		header_off[r] = lime_len;
		lime_header(&ranges[r], lime + lime_len);
		lime_len += LIME_HEADER_BYTES;
		for (size_t at = 0; at < len; at += CHUNK) {
			size_t n = len - at < CHUNK ? len - at : CHUNK;
			unsigned char *data = lime + lime_len;
			uint8_t digest[SHA256_LEN];
			char hex[SHA256_HEX_SIZE];

			for (size_t i = 0; i < n; i++)
				data[i] = (unsigned char)(i * 31 + at / 64 + r * 7 + 1);
			memcpy(raw + ranges[r].start + at, data, n);
			sha256(data, n, digest);
			sha256_to_hex(digest, hex);
			log_len += (size_t)sprintf(
				log_text + log_len, "%llx %llx %d %s\n",
				(unsigned long long)(ranges[r].start + at),
				(unsigned long long)(ranges[r].start + at + n - 1), 12345,
				hex);
			lime_len += n;
		}
	}
	raw_len = (size_t)ranges[2].end + 1;
}

static char told[4000];

static void tell(void *arg, const struct chunk_fault *fault)
{
	static const char *const kinds[] = { "damaged", "cut",	    "absent",
					     "header",	"unlisted", "stray" };

	(void)arg;
	sprintf(told + strlen(told), "%s %llx-%llx @%llu;", kinds[fault->kind],
		(unsigned long long)fault->range.start,
		(unsigned long long)fault->range.end, (unsigned long long)fault->off);
}

static int memfd(const void *data, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(io_pwrite(fd, data, len, 0) == 0);
	return fd;
}

static struct chunk_check result;

static int run(const void *image, size_t len, bool is_lime, struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char window[IO_CHUNK_BYTES];
	struct chunk_image reader;
	int fd = memfd(image, len), log = memfd(log_text, log_len), rc;

	told[0] = '\0';
	result = (struct chunk_check){ .tell = tell };
	CHECK((is_lime ? chunk_image_lime : chunk_image_raw)(&reader, fd, window, err) ==
	      0);
	rc = chunk_check(&result, log, &reader, err);
	close(fd);
	close(log);
	return rc;
}

static void whole_images_agree(void)
{
	struct err err = { 0 };

	CHECK(run(lime, lime_len, true, &err) == 0);
	CHECK_STR(told, "");
	CHECK(result.chunks == 11 && !result.bad && !result.faults);
	CHECK(run(raw, raw_len, false, &err) == 0);
	CHECK_STR(told, "");
	CHECK(result.chunks == 11 && result.good_bytes == lime_len - 96);
}

/* Any byte: the chunk it stands in, or the header, and nothing else. */
static void every_byte_has_its_place(void)
{
	struct err err = { 0 };

	for (size_t at = 0; at < lime_len; at += at % CHUNK < 40 ? 1 : 61) {
		char want[80], other[80] = "";
		uint64_t phys = 0;

		lime[at] ^= 0x10;
		CHECK(run(lime, lime_len, true, &err) == 0);
		lime[at] ^= 0x10;
		for (size_t r = 0; r < 3; r++) {
			size_t data = header_off[r] + LIME_HEADER_BYTES, n;

			if (at < header_off[r] || at >= data + range_bytes(&ranges[r]))
				continue;
			phys = ranges[r].start;
			if (at < data) {
				snprintf(want, sizeof(want), "header %llx-%llx @%zu;",
					 (unsigned long long)phys,
					 (unsigned long long)phys, header_off[r]);
				continue;
			}
			n = (at - data) / CHUNK * CHUNK;
			phys += n;
			snprintf(want, sizeof(want), "damaged %llx-%llx @%zu;",
				 (unsigned long long)phys,
				 (unsigned long long)(phys + CHUNK - 1 < ranges[r].end
							      ? phys + CHUNK - 1
							      : ranges[r].end),
				 data + n);
		}
		/* The last eight bytes of a header say nothing; an end that is too high
		 * or too low is seen where the range should end. */
		if (strcmp(told, want) != 0 && strncmp(told, "header ", 7) == 0 &&
		    strncmp(want, "header ", 7) == 0)
			snprintf(other, sizeof(other), "%s", strchr(want, '@'));
		if (strcmp(told, want) != 0 &&
		    !(*other && strcmp(strchr(told, '@'), other) == 0) &&
		    !(strncmp(want, "header", 6) == 0 && !*told)) {
			printf("  byte %zu: %s wanted %s\n", at, told, want);
			CHECK(!"its place");
		}
	}
}

static void cut_at_every_length(void)
{
	struct err err = { 0 };

	for (size_t len = 1; len < lime_len; len += len % 512 < 40 ? 1 : 97) {
		unsigned long long start, end, off;
		uint64_t good = 0;

		CHECK(run(lime, len, true, &err) == 0);
		CHECK(sscanf(told, "cut %llx-%llx @%llu;", &start, &end, &off) == 3);
		CHECK(end == ranges[2].end && off == len);
		CHECK(strchr(told, ';')[1] == '\0');
		for (size_t r = 0; r < 3; r++)
			for (uint64_t at = ranges[r].start; at < start; at += CHUNK)
				if (at <= ranges[r].end)
					good++;
		CHECK(result.chunks - result.bad == good);
	}
	CHECK(run(raw, 0x100000 + 100, false, &err) == 0);
	CHECK_STR(told, "cut 100000-10a063 @1048676;");
}

static void other_ranges(void)
{
	static unsigned char longer[sizeof(lime) + 5000];
	struct range more = { 0x900000, 0x900fff };
	struct err err = { 0 };
	size_t kept = log_len;

	/* More memory at the end, and in front. */
	memcpy(longer, lime, lime_len);
	lime_header(&more, longer + lime_len);
	CHECK(run(longer, lime_len + 32 + 4096, true, &err) == 0);
	CHECK_STR(told, "unlisted 900000-900fff @82148;");
	/* What is no header. */
	memset(longer + lime_len, 'x', 100);
	CHECK(run(longer, lime_len + 100, true, &err) == 0);
	CHECK(strncmp(told, "stray 0-0 @", 11) == 0);
	/* The second range is not in the file. */
	memcpy(longer, lime, header_off[1]);
	memcpy(longer + header_off[1], lime + header_off[2], lime_len - header_off[2]);
	CHECK(run(longer, lime_len - (header_off[2] - header_off[1]), true, &err) == 0);
	CHECK_STR(told, "absent 100000-105fff @40992;");
	/* Its chunks are not in the log. */
	{
		char *from = strstr(log_text, "100000 "),
		     *to = strstr(log_text, "106000 ");
		char copy[sizeof(log_text)];

		memcpy(copy, log_text, log_len);
		memmove(from, to, log_len - (size_t)(to - log_text));
		log_len -= (size_t)(to - from);
		CHECK(run(lime, lime_len, true, &err) == 0);
		CHECK_STR(told, "unlisted 100000-105fff @41024;");
		memcpy(log_text, copy, kept);
		log_len = kept;
	}
}

static void bad_logs(void)
{
	static const char *const lines[] = {
		"1000 fff 1 ",		 "1000 1fff  1 ", "g 1fff 1 ",
		"1000 1fff -1 ",	 "1000 1fff ",	  "10000000000000000 1 1 ",
		"0 ffffffffffffffff 1 ",
	};
	struct chunk_line line;
	struct err err = { 0 };
	char text[200];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		sprintf(text, "%s%064d", lines[i], 0);
		CHECK(!chunk_line_parse(text, strlen(text), &line));
	}
	sprintf(text, "1000 1fff 17 %064d", 0);
	CHECK(chunk_line_parse(text, strlen(text), &line) && line.time_ns == 17);
	for (size_t i = 0; i < strlen(text); i++)
		CHECK(!chunk_line_parse(text, i, &line));
	CHECK(chunk_line_parse("1 2 3 -", 7, &line) && !line.has_sha256);
	log_len -= 5;
	CHECK(run(lime, lime_len, true, &err) < 0);
	CHECK_STR(err.text, "it ends in a torn line 11");
	log_len += 5;
}

int main(void)
{
	make();
	RUN(whole_images_agree);
	RUN(every_byte_has_its_place);
	RUN(cut_at_every_length);
	RUN(other_ranges);
	RUN(bad_logs);
	return DONE();
}
