#include "toolkit/lib/reader.h"

#include <errno.h>
#include <string.h>

#define PAGE 4096

static void add_gap(struct gaps *gaps, uint64_t start, uint64_t len, enum gap_kind kind,
		    int errnum)
{
	struct gap *last = gaps->count ? &gaps->at[gaps->count - 1] : NULL;

	gaps->bytes += len;
	if (last && last->range.end + 1 == start && last->kind == kind &&
	    last->errnum == errnum) {
		last->range.end += len;
	} else if (gaps->count == GAPS_MAX) {
		gaps->unlisted++;
	} else {
		gaps->at[gaps->count++] =
			(struct gap){ { start, start + len - 1 }, kind, errnum };
	}
}

/* The rest of the page that phys stands in: the smallest piece that is given up at once.
 */
static size_t to_page_end(uint64_t phys, size_t len)
{
	size_t rest = PAGE - (size_t)(phys % PAGE);

	return rest < len ? rest : len;
}

/* Reads up to a page's rest from the second source. Returns what it gave, 0 for nothing.
 */
static size_t ask_second(struct source *second, uint64_t phys, unsigned char *buf,
			 size_t len)
{
	ssize_t n;

	if (!second)
		return 0;
	n = second->ops->read(second, phys, buf, to_page_end(phys, len));
	return n > 0 ? (size_t)n : 0;
}

/* Gives up take bytes that the source could not give: second source, or a gap. */
static size_t fill_in(struct source *second, uint64_t phys, unsigned char *buf,
		      size_t take, enum gap_kind kind, int errnum, struct gaps *gaps)
{
	size_t given = ask_second(second, phys, buf, take);

	if (given) {
		gaps->second_bytes += given;
		return given;
	}
	/* One page at a time: the second source may have the next one. */
	take = to_page_end(phys, take);
	memset(buf, 0, take);
	add_gap(gaps, phys, take, kind, errnum);
	return take;
}

void reader_fill(struct source *source, struct source *second, uint64_t phys,
		 unsigned char *buf, size_t len, struct gaps *gaps)
{
	size_t ask = len;

	while (len) {
		uint64_t hole = source->ops->hole(source, phys, len);
		size_t page = to_page_end(phys, len);
		ssize_t n;

		if (ask > len)
			ask = len;
		n = hole ? 0 : source->ops->read(source, phys, buf, ask);
		if (n <= 0 && !hole && ask > page) {
			/* Halve towards the page: one refused page must not cost more. */
			ask = ask / 2 > page ? ask / 2 / PAGE * PAGE : page;
			if (ask < page)
				ask = page;
			continue;
		}
		if (n <= 0) {
			int errnum = n < 0 ? errno : 0;

			n = (ssize_t)fill_in(
				second, phys, buf, hole ? (size_t)hole : page,
				hole ? GAP_UNMAPPED : GAP_UNREADABLE, errnum, gaps);
			ask = len;
		}
		phys += (uint64_t)n;
		buf += n;
		len -= (size_t)n;
	}
}
