/*
 * A memory image as physical memory that can be read at any address: lime and padded raw
 * at once, avml and zst by unpacking the pieces that are asked for. A decoder goes
 * through a file from front to end; this remembers places on the way so that it can go
 * back, in bounded memory however large the image is.
 */
#ifndef FVOL_DUMPVIEW_H
#define FVOL_DUMPVIEW_H

#include "toolkit/lib/decoder.h"

/* Physical addresses have 52 bits at most, on x86_64 and arm64. */
#define PHYSICAL_END (UINT64_C(1) << 52)

struct dumpview_place;

/* Zeroed it may be closed. */
struct dumpview {
	struct decoder *decoder;
	struct dumpview_place *places; /* ascending */
	size_t count;
	uint64_t stride_bytes;	    /* of memory, at least, from place to place */
	struct decoder_piece piece; /* that was taken last; len_bytes 0: none */
	uint64_t end;		    /* of the memory, exclusive */
};

/*
 * Opens the image fd (a regular file, borrowed) and goes over its structure. ops NULL:
 * what its first bytes tell, which raw has none of. Returns 0 or -1; dumpview_close() is
 * due in both cases.
 */
int dumpview_open(struct dumpview *view, int fd, const struct decoder_ops *ops,
		  struct err *err);
void dumpview_close(struct dumpview *view);

/*
 * Copies len bytes of memory from phys on. Fails, with buf undefined, when the image has
 * not got them all or they are damaged. Where a format leaves out zeros, what is absent
 * between its blocks reads as zero.
 */
int dumpview_read(struct dumpview *view, uint64_t phys, void *buf, size_t len,
		  struct err *err);

/*
 * The piece that holds phys, or the next one above it, good until the next call of any of
 * these functions: going on behind each piece shows all memory. Damaged pieces are left
 * out. Returns 1, 0 when nothing is above, or -1.
 */
int dumpview_piece(struct dumpview *view, uint64_t phys, struct decoder_piece *piece,
		   struct err *err);

#endif
