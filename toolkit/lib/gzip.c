#include "toolkit/lib/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

int gunzip(const void *data, size_t len, void *out, size_t room, size_t *got,
	   struct err *err)
{
	z_stream stream = { 0 };
	int ret;

	if (len > UINT_MAX || room > UINT_MAX)
		return err_set(err, ERR_FAILED, "too large for gzip");
	/* 16: the header must be gzip's. */
	ret = inflateInit2(&stream, 16 + MAX_WBITS);
	if (ret != Z_OK)
		return err_set(err, ERR_FAILED, "out of memory");
	stream.next_in = (z_const Bytef *)data;
	stream.avail_in = (uInt)len;
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	ret = inflate(&stream, Z_FINISH);
	*got = room - stream.avail_out;
	inflateEnd(&stream);
	if (ret == Z_STREAM_END)
		return 0;
	if (stream.avail_out == 0)
		return err_set(err, ERR_FAILED, "gzip data that unpack to more than %zu",
			       room);
	return err_set(err, ERR_FAILED,
		       ret == Z_BUF_ERROR ? "gzip data that end too early"
					  : "damaged gzip data");
}

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
