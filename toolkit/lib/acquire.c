#include "toolkit/lib/acquire.h"

#include <errno.h>
#include <string.h>

#include "toolkit/lib/lime.h"

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

/*
 * Fills buf with len bytes from phys on. Asks for all that is left; where the kernel
 * gives nothing, for the one page (a single unreadable page makes some kernels refuse the
 * whole request: 6.1.116+, 6.6.57+, 6.12); what it still refuses is a gap.
 */
static void fill(const struct kcore *source, uint64_t phys, unsigned char *buf,
		 size_t len, struct gaps *gaps)
{
	size_t ask = len;

	while (len) {
		uint64_t hole = kcore_hole(source, phys, len);
		size_t take = hole ? (size_t)hole : to_page_end(phys, len);
		ssize_t n = 0;

		if (!hole) {
			if (ask > len)
				ask = len;
			n = kcore_read(source, phys, buf, ask);
			if (n <= 0 && ask > take) {
				/* Halve towards the page: the readable part is long. */
				ask = ask / 2 > take ? ask / 2 / PAGE * PAGE : take;
				continue;
			}
		}
		if (n > 0) {
			take = (size_t)n;
		} else {
			int errnum = n < 0 ? errno : 0;

			memset(buf, 0, take);
			add_gap(gaps, phys, take, hole ? GAP_UNMAPPED : GAP_UNREADABLE,
				errnum);
			ask = len;
		}
		phys += take;
		buf += take;
		len -= take;
	}
}

static int acquire_range(const struct kcore *source, const struct range *range,
			 struct sink *sink, struct gaps *gaps, struct progress *progress,
			 const volatile sig_atomic_t *interrupted, struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];
	uint64_t phys = range->start;
	uint64_t left = range_bytes(range);

	lime_header(range, header);
	if (sink_put(sink, header, sizeof(header), err) < 0)
		return -1;
	while (left) {
		size_t room;
		unsigned char *buf = sink_space(sink, &room);
		size_t len = left < room ? (size_t)left : room;

		if (*interrupted)
			return err_set(err, ERR_FAILED, "interrupted at 0x%llx",
				       (unsigned long long)phys);
		fill(source, phys, buf, len, gaps);
		if (sink_commit(sink, len, err) < 0)
			return -1;
		phys += len;
		left -= len;
		progress_add(progress, len);
	}
	return 0;
}

int acquire(const struct kcore *source, const struct ranges *ranges, struct sink *sink,
	    struct gaps *gaps, struct progress *progress,
	    const volatile sig_atomic_t *interrupted, struct err *err)
{
	gaps->count = 0;
	gaps->bytes = 0;
	gaps->unlisted = 0;
	for (size_t i = 0; i < ranges->count; i++)
		if (acquire_range(source, &ranges->at[i], sink, gaps, progress,
				  interrupted, err) < 0)
			return -1;
	return 0;
}
