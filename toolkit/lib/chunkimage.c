/* Images whose bytes of memory stand as they are: LiME v1 and padded raw. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/chunks.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"

/* Bytes of the file at off: *data and how many, at most max; 0 at its end. */
static ssize_t bytes_at(struct chunk_image *image, uint64_t off, size_t max,
			const unsigned char **data, struct err *err)
{
	uint64_t start = off / IO_BLOCK * IO_BLOCK;
	size_t at;
	ssize_t n;

	if (off >= image->size_bytes)
		return 0;
	if (off < image->window_off || off >= image->window_off + image->window_len) {
		/* One read, for O_DIRECT could not go on behind a short one. */
		do
			n = pread(image->fd, image->window, IO_CHUNK_BYTES, (off_t)start);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(err, errno, "reading at byte %llu",
				       (unsigned long long)start);
		image->window_off = start;
		image->window_len = (size_t)n;
	}
	at = (size_t)(off - image->window_off);
	if (at >= image->window_len)
		return err_set(err, ERR_FAILED, "became shorter while it was read");
	*data = image->window + at;
	return (ssize_t)(image->window_len - at < max ? image->window_len - at : max);
}

static int open_image(struct chunk_image *image, int fd, unsigned char *window,
		      struct err *err)
{
	struct stat st;

	*image = (struct chunk_image){ .fd = fd, .window = window, .range = { 1, 0 } };
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "examining the image");
	image->size_bytes = (uint64_t)st.st_size;
	return 0;
}

static ssize_t raw_read(struct chunk_image *image, uint64_t phys, size_t max,
			const unsigned char **data, uint64_t *off, struct err *err)
{
	*off = phys < image->size_bytes ? phys : image->size_bytes;
	return bytes_at(image, phys, max, data, err);
}

/* What stands between the ranges of a padded image is not memory. */
static int raw_finish(struct chunk_image *image, struct err *err)
{
	(void)image;
	(void)err;
	return 0;
}

int chunk_image_raw(struct chunk_image *image, int fd, unsigned char *window,
		    struct err *err)
{
	if (open_image(image, fd, window, err) < 0)
		return -1;
	image->read = raw_read;
	image->finish = raw_finish;
	return 0;
}

static void tell(struct chunk_image *image, enum chunk_fault_kind kind, uint64_t start,
		 uint64_t end, uint64_t off)
{
	image->told(image, &(struct chunk_fault){ kind, { start, end }, off });
}

/* Reads the header at off. Returns 1 with *good, 0 when the file ends before it, or -1.
 */
static int header_at(struct chunk_image *image, uint64_t off, struct range *range,
		     bool *good, struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];
	size_t have = 0;

	*good = false;
	while (have < sizeof(header)) {
		const unsigned char *data;
		ssize_t n =
			bytes_at(image, off + have, sizeof(header) - have, &data, err);

		if (n <= 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			header[have++] = data[i];
	}
	range->start = get_le(header + 8, 8);
	range->end = get_le(header + 16, 8);
	*good = get_le(header, 4) == LIME_MAGIC &&
		get_le(header + 4, 4) == LIME_VERSION && range->start <= range->end &&
		range->end - range->start < INT64_MAX;
	return 1;
}

/* Does the file end, or another header stand, where a range of this length ends? */
static int fits(struct chunk_image *image, uint64_t off, const struct range *range,
		bool *fit, struct err *err)
{
	uint64_t end = off + LIME_HEADER_BYTES + range_bytes(range);
	struct range next;

	*fit = end == image->size_bytes;
	if (*fit || end > image->size_bytes)
		return 0;
	return header_at(image, end, &next, fit, err) < 0 ? -1 : 0;
}

/* Does a header of a range that begins at phys stand where the image is read next? */
static int begins_here(struct chunk_image *image, uint64_t phys, struct err *err)
{
	struct range range;
	bool good;

	if (header_at(image, image->next_off, &range, &good, err) < 0)
		return -1;
	return good && range.start == phys;
}

static void enter(struct chunk_image *image, struct range range, bool suspect)
{
	image->header_off = image->next_off;
	image->next_off += LIME_HEADER_BYTES;
	image->range = range;
	image->in_range = true;
	image->suspect = suspect;
	image->guessed = false;
}

/* What follows is taken for memory from phys on; no header tells how much. */
static void guess(struct chunk_image *image, uint64_t phys)
{
	image->range = (struct range){ phys, UINT64_MAX };
	image->in_range = image->guessed = true;
}

/*
 * Goes on to the range that phys should stand in. A damaged header is told, and taken for
 * the one of a range that begins at phys: its memory is behind it all the same, and the
 * hashes will tell. Returns 1, or 0 when the file ends or goes on above phys, or -1.
 */
static int next_range(struct chunk_image *image, uint64_t phys, struct err *err)
{
	struct range range;
	bool good, fit = false;
	int there = header_at(image, image->next_off, &range, &good, err);

	if (there <= 0)
		return there;
	if (good && fits(image, image->next_off, &range, &fit, err) < 0)
		return -1;
	if (good && (fit || range.start == phys)) {
		if (range.start > phys)
			return 0;
		enter(image, range, !fit);
		return 1;
	}
	tell(image, CHUNK_HEADER, phys, phys, image->next_off);
	image->header_off = image->next_off;
	image->next_off += LIME_HEADER_BYTES;
	guess(image, phys);
	return 1;
}

/* Memory that was not asked for: up to phys, or all that is left of the range. */
static void skip(struct chunk_image *image, uint64_t bytes)
{
	uint64_t left = image->next_off < image->size_bytes
				? image->size_bytes - image->next_off
				: 0;

	/* What a cut file lacks is missed by whoever asks for it. */
	if (left)
		tell(image, CHUNK_UNLISTED, image->range.start,
		     image->range.start + (bytes < left ? bytes : left) - 1,
		     image->next_off);
	image->next_off += bytes;
}

/*
 * Leaves the range when phys is not in it, or when its end was wrong: then a header of
 * phys stands where the range claims to go on.
 */
static int leave_range(struct chunk_image *image, uint64_t phys, struct err *err)
{
	bool inside = phys >= image->range.start && phys <= image->range.end;
	int begins = 0;

	if (image->guessed || image->suspect || !inside || phys != image->range.start) {
		begins = begins_here(image, phys, err);
		if (begins < 0)
			return -1;
	}
	if (begins || (image->guessed && phys != image->range.start)) {
		/* A guess is not a claim. */
		if (!image->guessed && inside)
			tell(image, CHUNK_HEADER, image->range.start, image->range.start,
			     image->header_off);
		image->in_range = false;
		return 0;
	}
	if (!inside) {
		if (phys < image->range.start)
			return 0;
		skip(image, range_bytes(&image->range));
		image->in_range = false;
	} else if (phys != image->range.start) {
		skip(image, phys - image->range.start);
		image->range.start = phys;
	}
	return 0;
}

/* Sees to it that the range in hand holds phys. Returns 1, 0 when none does, or -1. */
static int find_range(struct chunk_image *image, uint64_t phys, struct err *err)
{
	int there;

	if (image->continues) {
		/* Ranges do not end inside a chunk: the header's end is too low. */
		if (!image->in_range) {
			tell(image, CHUNK_HEADER, phys, phys, image->header_off);
			guess(image, phys);
		}
		return 1;
	}
	for (;;) {
		if (image->in_range && leave_range(image, phys, err) < 0)
			return -1;
		if (image->in_range)
			return phys >= image->range.start;
		there = next_range(image, phys, err);
		if (there <= 0)
			return there;
	}
}

static ssize_t lime_read(struct chunk_image *image, uint64_t phys, size_t max,
			 const unsigned char **data, uint64_t *off, struct err *err)
{
	int there = find_range(image, phys, err);
	ssize_t n;

	*off = image->next_off < image->size_bytes ? image->next_off : image->size_bytes;
	if (there <= 0) {
		/* Less than a header is left: the file was cut there. */
		if (!there && !image->in_range &&
		    image->size_bytes - *off < LIME_HEADER_BYTES) {
			*off = image->size_bytes;
			image->ended = true;
		}
		return there;
	}
	if (image->range.end - phys < max)
		max = (size_t)(image->range.end - phys) + 1;
	n = bytes_at(image, image->next_off, max, data, err);
	if (n <= 0)
		return n;
	image->next_off += (uint64_t)n;
	image->in_range = image->range.end - phys >= (uint64_t)n;
	image->range.start = phys + (uint64_t)n;
	return n;
}

static int lime_finish(struct chunk_image *image, struct err *err)
{
	while (image->next_off < image->size_bytes && !image->ended) {
		uint64_t left = image->size_bytes - image->next_off;
		struct range range;
		bool good = false;

		if (image->in_range && !image->guessed) {
			/* Bytes that are there, not those that a header promises. */
			if (range_bytes(&image->range) < left)
				left = range_bytes(&image->range);
			skip(image, left);
			image->in_range = false;
			continue;
		}
		if (header_at(image, image->next_off, &range, &good, err) < 0)
			return -1;
		if (!good) {
			tell(image, CHUNK_STRAY, 0, 0, image->next_off);
			return 0;
		}
		enter(image, range, false);
	}
	return 0;
}

int chunk_image_lime(struct chunk_image *image, int fd, unsigned char *window,
		     struct err *err)
{
	if (open_image(image, fd, window, err) < 0)
		return -1;
	image->read = lime_read;
	image->finish = lime_finish;
	return 0;
}
