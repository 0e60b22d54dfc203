#include "toolkit/lib/chunks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 160

static bool take_hex(const char **at, const char *end, uint64_t *value)
{
	const char *start = *at;

	for (*value = 0; *at < end; ++*at) {
		char c = **at;
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;

		if (digit < 0)
			break;
		if (*value >> 60)
			return false;
		*value = *value << 4 | (uint64_t)digit;
	}
	return *at > start;
}

static bool take_decimal(const char **at, const char *end, int64_t *value)
{
	const char *start = *at;

	for (*value = 0; *at < end && **at >= '0' && **at <= '9'; ++*at)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, **at - '0', value))
			return false;
	return *at > start;
}

static bool take_blank(const char **at, const char *end)
{
	return *at < end && *(*at)++ == ' ';
}

bool chunk_line_parse(const char *text, size_t len_bytes, struct chunk_line *line)
{
	const char *at = text, *end = text + len_bytes;

	if (!take_hex(&at, end, &line->range.start) || !take_blank(&at, end) ||
	    !take_hex(&at, end, &line->range.end) || !take_blank(&at, end) ||
	    !take_decimal(&at, end, &line->time_ns) || !take_blank(&at, end) ||
	    line->range.start > line->range.end ||
	    line->range.end - line->range.start == UINT64_MAX)
		return false;
	line->has_sha256 = end - at != 1 || *at != '-';
	return !line->has_sha256 ||
	       (end - at == 2 * SHA256_LEN && sha256_from_hex(at, line->sha256));
}

static void tell_last(struct chunk_check *check)
{
	if (!check->pending)
		return;
	check->pending = false;
	check->faults++;
	check->tell(check->arg, &check->last);
}

static void add_fault(struct chunk_check *check, const struct chunk_fault *fault)
{
	struct chunk_fault *last = &check->last;

	/* What is cut off is one fault, however many ranges it was. */
	if (check->pending && last->kind == fault->kind && fault->kind != CHUNK_HEADER &&
	    (fault->kind == CHUNK_CUT ||
	     (fault->range.start == last->range.end + 1 &&
	      (fault->kind == CHUNK_ABSENT ||
	       fault->off == last->off + range_bytes(&last->range))))) {
		last->range.end = fault->range.end;
		return;
	}
	tell_last(check);
	*last = *fault;
	check->pending = true;
}

static void told_by_image(struct chunk_image *image, const struct chunk_fault *fault)
{
	add_fault(image->check, fault);
}

/* Compares one chunk. */
static int check_chunk(struct chunk_check *check, struct chunk_image *image,
		       const struct chunk_line *line, struct err *err)
{
	uint64_t left = range_bytes(&line->range), phys = line->range.start, off,
		 first = 0;
	uint8_t digest[SHA256_LEN];
	struct sha256 hash;
	bool any = false;

	sha256_init(&hash);
	while (left) {
		size_t max = left < IO_CHUNK_BYTES ? (size_t)left : IO_CHUNK_BYTES;
		const unsigned char *data;
		ssize_t n;

		image->continues = any;
		n = image->read(image, phys, max, &data, &off, err);

		if (n < 0)
			return -1;
		if (!any)
			first = off;
		any = true;
		if (n == 0)
			break;
		sha256_update(&hash, data, (size_t)n);
		phys += (uint64_t)n;
		left -= (uint64_t)n;
	}
	sha256_final(&hash, digest);
	check->chunks++;
	if (!left && memcmp(digest, line->sha256, sizeof(digest)) == 0) {
		check->good_bytes += range_bytes(&line->range);
		return 0;
	}
	check->bad++;
	if (left)
		/* Of a chunk that is not whole nothing can be said: all of it is lost. */
		add_fault(check,
			  &(struct chunk_fault){
				  off >= image->size_bytes ? CHUNK_CUT
				  : image->lost		   ? CHUNK_DAMAGED
							   : CHUNK_ABSENT,
				  line->range, off >= image->size_bytes ? off : first });
	else
		/* Taken for zeros that were left out behind the end: they were none. */
		add_fault(check, &(struct chunk_fault){ first >= image->size_bytes
								? CHUNK_CUT
								: CHUNK_DAMAGED,
							line->range, first });
	return 0;
}

/* The log as it streams by. */
struct log {
	struct chunk_check *check;
	struct chunk_image *image;
	char text[LINE_MAX_BYTES];
	size_t len;
	uint64_t number;
	uint64_t last_end;
};

static int take_line(struct log *log, struct err *err)
{
	struct chunk_line line;
	unsigned long long number = ++log->number;

	if (log->len >= sizeof(log->text) ||
	    !chunk_line_parse(log->text, log->len, &line))
		return err_set(err, ERR_FAILED, "line %llu is not one of a chunk",
			       number);
	if (!line.has_sha256)
		return err_set(err, ERR_FAILED, "line %llu has no hash", number);
	if (number > 1 && line.range.start <= log->last_end)
		return err_set(err, ERR_FAILED,
			       "line %llu is not above the one before it", number);
	log->last_end = line.range.end;
	log->len = 0;
	return check_chunk(log->check, log->image, &line, err);
}

static int take_bytes(struct log *log, const char *bytes, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			if (take_line(log, err) < 0)
				return -1;
		} else if (log->len < sizeof(log->text)) {
			log->text[log->len++] = bytes[i];
		}
	}
	return 0;
}

static int check_log(struct log *log, int fd, struct err *err)
{
	static _Alignas(IO_BLOCK) char buf[4 * IO_BLOCK];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "reading the log of chunks");
		if (n > 0 && take_bytes(log, buf, (size_t)n, err) < 0)
			return -1;
		/* A short read is the end: after it O_DIRECT could not go on. */
	} while (n == (ssize_t)sizeof(buf) || n < 0);
	if (log->len)
		return err_set(err, ERR_FAILED, "it ends in a torn line %llu",
			       (unsigned long long)log->number + 1);
	if (!log->number)
		return err_set(err, ERR_FAILED, "it holds no chunk");
	return 0;
}

int chunk_check(struct chunk_check *check, int log_fd, struct chunk_image *image,
		struct err *err)
{
	struct log log = { .check = check, .image = image };
	int rc;

	check->chunks = check->bad = check->good_bytes = check->faults = 0;
	check->pending = false;
	image->check = check;
	image->told = told_by_image;
	rc = check_log(&log, log_fd, err);
	if (rc == 0)
		rc = image->finish(image, err);
	tell_last(check);
	return rc;
}
