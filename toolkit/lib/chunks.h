/*
 * Where an image is damaged: memory.chunks, which the pipeline writes beside an image,
 * has a line for each chunk of memory, "START END TIME SHA256" (physical addresses in
 * hex, both inclusive; nanoseconds since 1970; lower-case hex), ascending. The image is
 * held against it, chunk by chunk, and each difference is told by address and by place in
 * the file.
 *
 * Images are read through chunk_image: lime and raw, whose bytes stand as they are, in
 * chunkimage.c, which tells every byte of the file; formats that must be decoded in
 * chunkdecoded.c, which salvages what a decoder can.
 */
#ifndef FVOL_CHUNKS_H
#define FVOL_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/decoder.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sha256.h"

struct chunk_line {
	struct range range;
	int64_t time_ns;
	uint8_t sha256[SHA256_LEN];
	bool has_sha256; /* false: captured with --no-hash */
};

/* Reads one line of len bytes, without its newline. Returns false for another form. */
bool chunk_line_parse(const char *text, size_t len_bytes, struct chunk_line *line);

enum chunk_fault_kind {
	CHUNK_DAMAGED,	/* other bytes than were captured */
	CHUNK_CUT,	/* the file ends before it */
	CHUNK_ABSENT,	/* the file goes on, without this memory */
	CHUNK_HEADER,	/* the header of a range is damaged; its memory may be whole */
	CHUNK_UNLISTED, /* memory in the file that the log does not have */
	CHUNK_STRAY,	/* bytes of the file that no header claims; no range */
};

/* Neighbours of one kind are one fault. */
struct chunk_fault {
	enum chunk_fault_kind kind;
	struct range range; /* of memory; of CHUNK_HEADER the first address alone */
	uint64_t off;	    /* in the file, where it begins */
};

/* What is told of a check; told in order of address. */
typedef void chunk_tell(void *arg, const struct chunk_fault *fault);

/* An image that gives memory in ascending order of address. */
struct chunk_image {
	int fd; /* borrowed, of io_open_direct() */
	uint64_t size_bytes;
	/*
	 * Gives memory from phys on, which is not below what was asked before. Returns
	 * how many bytes, at most max, stand at *data, good until the next call; 0 when
	 * the image has none of phys; -1 and err. *off is the place in the file: of the
	 * bytes, or where they are missed. Faults of its own it tells by image->told.
	 */
	ssize_t (*read)(struct chunk_image *image, uint64_t phys, size_t max,
			const unsigned char **data, uint64_t *off, struct err *err);
	/* Looks at what nobody asked for; after the last read(). Returns 0, or -1 and
	 * err. */
	int (*finish)(struct chunk_image *image, struct err *err);
	void (*told)(struct chunk_image *image, const struct chunk_fault *fault);
	struct chunk_check *check; /* whose image it is */

	bool continues; /* what is asked for goes on in a chunk */
	bool lost;	/* what read() gave 0 for is in the file, and damaged */

	/* Of what is decoded. */
	struct decoder *decoder;    /* borrowed */
	struct decoder_piece piece; /* in_range: of it, range is not asked for yet */
	uint64_t last_end;	    /* of the piece before, when any */
	bool any;
	size_t zero_bytes; /* of a chunk, that were left out */

	/* Of lime. */
	uint64_t next_off;   /* of the next byte of memory, or header */
	uint64_t header_off; /* of the range's header */
	struct range range;  /* what is left of it */
	bool in_range;	     /* there is something left */
	bool suspect;	     /* its header does not fit what follows */
	bool guessed;	     /* there is no header for it: it has no known end */
	bool ended;	     /* the file was cut: what is left of it is known */
	/* A window on the file. */
	uint64_t window_off;
	size_t window_len;
	unsigned char *window; /* borrowed, IO_CHUNK_BYTES, aligned to IO_BLOCK */
};

/*
 * Readers of an open image. window is the caller's, IO_CHUNK_BYTES long and aligned to
 * IO_BLOCK. Nothing is read yet.
 */
int chunk_image_lime(struct chunk_image *image, int fd, unsigned char *window,
		     struct err *err);
int chunk_image_raw(struct chunk_image *image, int fd, unsigned char *window,
		    struct err *err);

/*
 * A reader of an image that a decoder reads; ops NULL: what its first bytes tell. The
 * decoder is the caller's; decoder_close() is due in every case.
 */
int chunk_image_decoded(struct chunk_image *image, int fd, struct decoder *decoder,
			const struct decoder_ops *ops, struct err *err);

struct chunk_check {
	chunk_tell *tell;
	void *arg;
	/* Results. */
	uint64_t chunks;     /* in the log */
	uint64_t bad;	     /* of them */
	uint64_t good_bytes; /* of memory, equal */
	uint64_t faults;
	bool pending;
	struct chunk_fault last; /* not told yet: it may grow */
};

/*
 * Holds the image against the log (a descriptor of io_open_direct()). Returns 0 when all
 * of it was compared, whatever came out: look at ->faults. ERR_FAILED or ERR_REFUSED when
 * it could not be: a line that is none, named by its number, or no hashes.
 */
int chunk_check(struct chunk_check *check, int log_fd, struct chunk_image *image,
		struct err *err);

#endif
