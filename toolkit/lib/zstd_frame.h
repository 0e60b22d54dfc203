/*
 * Frames of Zstandard (RFC 8878), packed and unpacked whole, in the caller's memory. The
 * library behind them is included by zstd_frame.c alone.
 */
#ifndef FVOL_ZSTD_FRAME_H
#define FVOL_ZSTD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZSTD_FRAME_MAGIC 0xfd2fb528u
#define ZSTD_FRAME_CHECKSUM_BYTES 4

/*
 * The seekable format 0.1.0 (zstd's contrib/seekable_format): a skippable frame ends the
 * file, with an entry (packed length u32, plain length u32, checksum u32 when flagged)
 * for each frame and a footer (number of entries u32, flags u8, magic u32).
 */
#define SEEKABLE_FRAME_MAGIC 0x184d2a5eu
#define SEEKABLE_MAGIC 0x8f92eab1u
#define SEEKABLE_ENTRY_BYTES 12
#define SEEKABLE_FOOTER_BYTES 9
#define SEEKABLE_FRAMES_MAX 0x8000000u
#define SEEKABLE_CHECKSUMS 0x80

/* The longest frame of len plain bytes. */
size_t zstd_frame_bound(size_t len_bytes);

/* Scratch memory, aligned to 64, of one packer and of one unpacker. */
size_t zstd_frame_pack_scratch(void);
size_t zstd_frame_unpack_scratch(void);

/*
 * Packs data into out, of zstd_frame_bound() bytes, as a frame with content size and
 * checksum. Returns its length, or 0 when the library fails.
 */
size_t zstd_frame_pack(const void *data, size_t len_bytes, void *out, void *scratch);

/*
 * Unpacks one frame that must be packed_len bytes long and hold plain_len bytes; its
 * checksum, if it has one, is checked. Returns NULL, or what is wrong, as a static text.
 */
const char *zstd_frame_unpack(const void *frame, size_t packed_len, void *out,
			      size_t plain_len, void *scratch);

/*
 * How long the frame at data is, from its headers alone. Returns false when len bytes do
 * not hold a whole frame, when they begin with none, or when it does not say how long
 * its content is.
 */
bool zstd_frame_measure(const void *data, size_t len_bytes, size_t *packed_len,
			uint64_t *plain_len);

/*
 * Unpacks the frame that data begins with, whether or not it tells the length of its
 * content; bytes behind it are left alone. Takes a window of at most 128 MiB besides.
 * Returns NULL with *got set, or what is wrong, as a static text.
 */
const char *zstd_frame_unpack_any(const void *data, size_t len_bytes, void *out,
				  size_t room, size_t *got);

#endif
