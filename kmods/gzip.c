#include "kmods/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

char *gzip_pack(const void *data, size_t len_bytes, size_t *packed_bytes, struct err *err)
{
	z_stream stream = { 0 };
	char *packed = NULL;
	uLong room;
	int ret;

	/* 16: in gzip's frame, whose time and name stay empty. */
	if (len_bytes > UINT_MAX / 2 ||
	    deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		err_set(err, ERR_FAILED, "packing by gzip: too large, or out of memory");
		return NULL;
	}
	room = deflateBound(&stream, (uLong)len_bytes);
	packed = malloc(room);
	stream.next_in = (z_const Bytef *)data;
	stream.avail_in = (uInt)len_bytes;
	stream.next_out = (Bytef *)packed;
	stream.avail_out = packed ? (uInt)room : 0;
	ret = packed ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;
	*packed_bytes = room - stream.avail_out;
	deflateEnd(&stream);
	if (ret == Z_STREAM_END)
		return packed;
	free(packed);
	err_set(err, ERR_FAILED, "packing by gzip failed");
	return NULL;
}
