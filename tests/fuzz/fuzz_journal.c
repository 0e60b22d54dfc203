#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/snapshot_journal.h"
#include "toolkit/lib/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_journal(const char *text, size_t len)
{
	struct snapshot_progress progress;
	struct err err = { 0 };

	if (snapshot_journal_parse(text, len, &progress, &err) < 0) {
		if (!err.text[0] || progress.put)
			abort();
		return;
	}
	if (progress.good_bytes > len || (progress.n_put && !progress.snapshot[0]))
		abort();
	snapshot_progress_free(&progress);
}

/* As it is, and with checksums that are right, so that what is behind them is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *at = (const char *)data, *end = at + len;
	char *text = malloc(10 * len + 32), *to = text;

	read_journal(at, len);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
		size_t body = n >= 9 ? n - 9 : n;

		memcpy(to, at, body);
		to += body;
		to += sprintf(to, " %08x\n", crc32c(0, at, body));
		at += n + (newline != NULL);
	}
	read_journal(text, (size_t)(to - text));
	free(text);
	return 0;
}
