#include "toolkit/lib/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

size_t sums_format(const uint8_t digest[SHA256_LEN], const char *name,
		   char line[SUMS_LINE_MAX])
{
	char *to = line;

	if (strpbrk(name, "\\\n\r"))
		*to++ = '\\';
	sha256_to_hex(digest, to);
	to += 2 * SHA256_LEN;
	*to++ = ' ';
	*to++ = ' ';
	for (; *name; name++) {
		const char *escape = *name == '\\'   ? "\\\\"
				     : *name == '\n' ? "\\n"
				     : *name == '\r' ? "\\r"
						     : NULL;

		if (escape) {
			*to++ = escape[0];
			*to++ = escape[1];
		} else {
			*to++ = *name;
		}
	}
	*to++ = '\n';
	*to = '\0';
	return (size_t)(to - line);
}

/* Undoes the escapes of sums_format() in place. Returns false for any other escape. */
static bool unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == '\\')
			*to++ = '\\';
		else if (*from == 'n')
			*to++ = '\n';
		else if (*from == 'r')
			*to++ = '\r';
		else
			return false;
	}
	*to = '\0';
	return true;
}

static bool parse_line(const char *line, size_t len, struct sums_entry *entry)
{
	bool escaped = len && *line == '\\';
	size_t name_len;

	if (escaped) {
		line++;
		len--;
	}
	if (len < 2 * SHA256_LEN + 3 || memchr(line, '\0', len))
		return false;
	if (!sha256_from_hex(line, entry->digest) || line[64] != ' ' ||
	    (line[65] != ' ' && line[65] != '*'))
		return false;
	name_len = len - 66;
	if (name_len >= sizeof(entry->name))
		return false;
	memcpy(entry->name, line + 66, name_len);
	entry->name[name_len] = '\0';
	return !escaped || unescape(entry->name);
}

int sums_next(const char *text, size_t len_bytes, size_t *pos, size_t *line_number,
	      struct sums_entry *entry, struct err *err)
{
	while (*pos < len_bytes) {
		const char *line = text + *pos;
		const char *end = memchr(line, '\n', len_bytes - *pos);
		size_t len = end ? (size_t)(end - line) : len_bytes - *pos;

		*pos += len + (end ? 1 : 0);
		++*line_number;
		if (!len)
			continue;
		if (!parse_line(line, len, entry))
			return err_set(err, ERR_FAILED,
				       "line %zu is not a SHA-256 checksum line",
				       *line_number);
		return 1;
	}
	return 0;
}

int sums_hash_in(int fd, unsigned char *buf, size_t buf_bytes, uint8_t digest[SHA256_LEN],
		 struct err *err)
{
	bool direct = fcntl(fd, F_GETFL) & O_DIRECT;
	struct sha256 ctx;
	uint64_t off = 0;
	ssize_t n;

	sha256_init(&ctx);
	do {
		n = read(fd, buf, buf_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "reading at byte %llu",
				       (unsigned long long)off);
		sha256_update(&ctx, buf, (size_t)n);
		off += (uint64_t)n;
		/* Of O_DIRECT a ragged read is the end, and some kernels (4.14) refuse
		 * the unaligned one that would follow. */
	} while (n != 0 && !(direct && n > 0 && n % IO_BLOCK));
	sha256_final(&ctx, digest);
	return 0;
}

int sums_hash_fd(int fd, uint8_t digest[SHA256_LEN], struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char buf[IO_CHUNK_BYTES];

	return sums_hash_in(fd, buf, sizeof(buf), digest, err);
}
