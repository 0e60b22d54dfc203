#include "toolkit/lib/gunzip.h"

#include <limits.h>
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
