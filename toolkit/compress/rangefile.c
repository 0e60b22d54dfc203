#include "toolkit/compress/rangefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"

#define TEXT_MAX (4u << 20)

/* "0x" and up to 16 digits, nothing else. */
static bool hex(const char *text, uint64_t *value)
{
	size_t digits;

	if (!text || strncmp(text, "0x", 2) != 0)
		return false;
	digits = strspn(text + 2, "0123456789abcdefABCDEF");
	*value = strtoull(text + 2, NULL, 16);
	return digits && digits <= 16 && !text[2 + digits];
}

static int take_json(const struct json_value *list, struct ranges *ranges,
		     struct err *err)
{
	ranges->count = 0;
	if (json_len(list) > RANGES_MAX)
		return err_set(err, ERR_FAILED, "more than %d ranges", RANGES_MAX);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json_value *at = json_at(list, i);
		struct range range;

		if (!hex(json_str(json_get(at, "start")), &range.start) ||
		    !hex(json_str(json_get(at, "end")), &range.end))
			return err_set(err, ERR_FAILED,
				       "range %zu has no start and end in hexadecimal",
				       i + 1);
		if (range.start > range.end ||
		    (i && range.start <= ranges->at[i - 1].end))
			return err_set(err, ERR_FAILED,
				       "range %zu (0x%" PRIx64 ") is not above the one "
				       "before it, or ends before it begins",
				       i + 1, range.start);
		ranges->at[ranges->count++] = range;
	}
	return ranges->count ? 0 : err_set(err, ERR_FAILED, "it has no list of ranges");
}

static int read_json(int fd, struct ranges *ranges, struct err *err)
{
	size_t len;
	char *text = io_read_direct(fd, TEXT_MAX, &len, err);
	struct json_read *doc = text ? json_parse(text, len, err) : NULL;
	const struct json_value *list = NULL;
	int rc = -1;

	if (doc) {
		list = json_get(json_top(doc), "range_list");
		if (!list)
			list = json_get(json_top(doc), "expected");
		rc = take_json(list, ranges, err);
	}
	json_read_free(doc);
	free(text);
	return rc;
}

int rangefile_read(const char *path, struct ranges *ranges, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char first = 0;
	int rc;

	if (fd < 0 || io_pread(fd, &first, 1, 0) < 0) {
		err_sys(err, errno, "opening %s", path);
		io_close(&fd);
		return -1;
	}
	rc = first == '{' ? read_json(fd, ranges, err) : ranges_read_fd(fd, ranges, err);
	io_close(&fd);
	if (rc == 0 && ranges->at[ranges->count - 1].end == UINT64_MAX)
		rc = err_set(err, ERR_FAILED, "the last range has no end");
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}
