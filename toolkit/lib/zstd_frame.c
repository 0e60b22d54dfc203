#include "toolkit/lib/zstd_frame.h"

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_initStaticCCtx */
#include <zstd.h>

#define LEVEL 1
/* What packing is tuned to, whatever the length: its scratch has one size. */
#define TUNED_BYTES (256u << 10)

size_t zstd_frame_bound(size_t len_bytes)
{
	return ZSTD_COMPRESSBOUND(len_bytes);
}

size_t zstd_frame_pack_scratch(void)
{
	return ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(LEVEL, TUNED_BYTES, 0));
}

size_t zstd_frame_unpack_scratch(void)
{
	return ZSTD_estimateDCtxSize();
}

size_t zstd_frame_pack(const void *data, size_t len_bytes, void *out, void *scratch)
{
	ZSTD_compressionParameters tuned = ZSTD_getCParams(LEVEL, TUNED_BYTES, 0);
	ZSTD_CCtx *cctx = ZSTD_initStaticCCtx(scratch, zstd_frame_pack_scratch());
	size_t packed;

	/* A static context has no defaults: it would leave the content size out. */
	if (!cctx || ZSTD_isError(ZSTD_CCtx_setCParams(cctx, tuned)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1)))
		return 0;
	packed = ZSTD_compress2(cctx, out, zstd_frame_bound(len_bytes), data, len_bytes);
	return ZSTD_isError(packed) ? 0 : packed;
}

const char *zstd_frame_unpack(const void *frame, size_t packed_len, void *out,
			      size_t plain_len, void *scratch)
{
	ZSTD_DCtx *dctx = ZSTD_initStaticDCtx(scratch, zstd_frame_unpack_scratch());
	size_t whole = ZSTD_findFrameCompressedSize(frame, packed_len), got;

	if (!dctx)
		return "no room to unpack in";
	if (ZSTD_isError(whole))
		return ZSTD_getErrorName(whole);
	if (whole != packed_len)
		return "the frame is shorter than its place";
	got = ZSTD_decompressDCtx(dctx, out, plain_len, frame, packed_len);
	if (ZSTD_isError(got))
		return ZSTD_getErrorName(got);
	return got == plain_len ? NULL : "the frame holds less than it should";
}

bool zstd_frame_measure(const void *data, size_t len_bytes, size_t *packed_len,
			uint64_t *plain_len)
{
	unsigned long long plain = ZSTD_getFrameContentSize(data, len_bytes);
	size_t packed;

	if (plain == ZSTD_CONTENTSIZE_UNKNOWN || plain == ZSTD_CONTENTSIZE_ERROR ||
	    ZSTD_isSkippableFrame(data, len_bytes))
		return false;
	packed = ZSTD_findFrameCompressedSize(data, len_bytes);
	*packed_len = packed;
	*plain_len = plain;
	return !ZSTD_isError(packed);
}

const char *zstd_frame_unpack_any(const void *data, size_t len_bytes, void *out,
				  size_t room, size_t *got)
{
	ZSTD_inBuffer in = { data, len_bytes, 0 };
	ZSTD_outBuffer to = { out, room, 0 };
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	const char *why = NULL;
	size_t left = 1;

	if (!dctx)
		return "no room to unpack in";
	/* The whole is in one piece anyhow: no second copy of the window is needed. */
	ZSTD_DCtx_setParameter(dctx, ZSTD_d_stableOutBuffer, 1);
	while (left && !why) {
		size_t in_before = in.pos, out_before = to.pos;

		left = ZSTD_decompressStream(dctx, &to, &in);
		if (ZSTD_isError(left))
			why = ZSTD_getErrorName(left);
		else if (left && in.pos == in_before && to.pos == out_before)
			why = to.pos == room ? "it holds more than there is room for"
					     : "it ends too early";
	}
	ZSTD_freeDCtx(dctx);
	*got = to.pos;
	return why;
}
