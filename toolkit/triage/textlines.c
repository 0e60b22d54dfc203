#include "toolkit/triage/textlines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/triage/watch.h"

void textlines_begin(struct textlines *lines, int fd, char *buf, size_t size,
		     uint64_t most_bytes)
{
	*lines = (struct textlines){
		.fd = fd, .buf = buf, .size = size, .left_bytes = most_bytes
	};
}

/* Reads more behind what is there. False at the end. */
static bool fill(struct textlines *lines)
{
	size_t room;
	ssize_t n;

	if (lines->end)
		return false;
	memmove(lines->buf, lines->buf + lines->at, lines->len - lines->at);
	lines->len -= lines->at;
	lines->at = 0;
	/* One byte is kept for the NUL of a last line that has no newline. */
	room = lines->size - 1 - lines->len;
	if (!room) {
		if (!lines->skipping)
			lines->overlong++;
		lines->skipping = true;
		lines->len = 0;
		room = lines->size - 1;
	}
	if (room > lines->left_bytes)
		room = (size_t)lines->left_bytes;
	do
		n = room ? read(lines->fd, lines->buf + lines->len, room) : 0;
	while (n < 0 && errno == EINTR);
	watch_alive();
	if (n <= 0) {
		lines->end = true;
		lines->more = !room;
		lines->errnum = n < 0 ? errno : 0;
		return false;
	}
	lines->len += (size_t)n;
	lines->left_bytes -= (uint64_t)n;
	return true;
}

char *textlines_next(struct textlines *lines, size_t *len_bytes)
{
	size_t seen = 0;

	for (;;) {
		char *begin = lines->buf + lines->at;
		size_t have = lines->len - lines->at;
		char *end = have > seen ? memchr(begin + seen, '\n', have - seen) : NULL;

		if (end || (lines->end && have)) {
			size_t len = end ? (size_t)(end - begin) : have;

			lines->at += end ? len + 1 : len;
			if (lines->skipping) {
				lines->skipping = false;
				seen = 0;
				continue;
			}
			begin[len] = '\0';
			*len_bytes = len;
			return begin;
		}
		seen = have;
		if (!fill(lines)) {
			if (lines->at == lines->len)
				return NULL;
			continue;
		}
		if (lines->len - lines->at < seen)
			seen = 0; /* the line was too long and is skipped */
	}
}

char *textlines_word(char **at)
{
	char *begin;

	if (!*at)
		return NULL;
	begin = *at + strspn(*at, " \t");
	if (!*begin)
		return NULL;
	*at = begin + strcspn(begin, " \t");
	if (**at)
		*(*at)++ = '\0';
	return begin;
}

bool textlines_hex(const char *text, uint64_t *value)
{
	size_t digits = 0;

	*value = 0;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (; *text; text++, digits++) {
		char c = (char)(*text | 0x20);
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: 16;

		if (digit == 16 || digits == 16)
			return false;
		*value = *value << 4 | digit;
	}
	return digits > 0;
}

bool textlines_decimal(const char *text, uint64_t *value)
{
	size_t digits = 0;

	*value = 0;
	for (; *text >= '0' && *text <= '9'; text++, digits++) {
		if (*value > (UINT64_MAX - 9) / 10)
			return false;
		*value = *value * 10 + (uint64_t)(*text - '0');
	}
	return digits && !*text;
}
