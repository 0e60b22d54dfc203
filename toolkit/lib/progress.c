#include "toolkit/lib/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"

#define NS_PER_S 1000000000LL

static void show(struct progress *progress, int64_t now)
{
	double seconds = (double)(now - progress->start_ns) / NS_PER_S;
	double rate = seconds > 0 ? (double)progress->done_bytes / seconds : 0;
	uint64_t left = progress->total_bytes > progress->done_bytes
				? progress->total_bytes - progress->done_bytes
				: 0;

	fprintf(stderr, "\r\033[K%s: %llu MiB", progress->what,
		(unsigned long long)progress->done_bytes >> 20);
	if (progress->total_bytes)
		fprintf(stderr, " of %llu MiB (%.0f %%)",
			(unsigned long long)progress->total_bytes >> 20,
			100.0 * (double)progress->done_bytes /
				(double)progress->total_bytes);
	fprintf(stderr, ", %.0f MiB/s", rate / (1 << 20));
	if (progress->packed_bytes)
		fprintf(stderr, ", packed to %.0f %%",
			100.0 * (double)progress->packed_bytes /
				(double)progress->done_bytes);
	if (progress->total_bytes)
		fprintf(stderr, ", %.0f s left", rate > 0 ? (double)left / rate : 0.0);
	if (progress->failures)
		fprintf(stderr, ", %llu tries failed",
			(unsigned long long)progress->failures);
	progress->shown_ns = now;
}

void progress_start(struct progress *progress, const char *what, uint64_t total_bytes)
{
	*progress = (struct progress){ .what = what,
				       .total_bytes = total_bytes,
				       .start_ns = clock_ns(CLOCK_MONOTONIC),
				       .terminal = isatty(STDERR_FILENO) == 1 };
	progress->shown_ns = progress->start_ns;
}

void progress_add(struct progress *progress, uint64_t bytes)
{
	int64_t now;

	progress->done_bytes += bytes;
	if (!progress->terminal)
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - progress->shown_ns >= NS_PER_S / 4)
		show(progress, now);
}

void progress_end(struct progress *progress)
{
	if (!progress->terminal)
		return;
	show(progress, clock_ns(CLOCK_MONOTONIC));
	fputc('\n', stderr);
}
