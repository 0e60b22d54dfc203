#include "tests/lib/triagelines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/triage/out.h"

#define LINES_BYTES ((size_t)1 << 22)

char triage_lines[LINES_BYTES];
static size_t used;

int out_record(struct out *out, struct json *doc, struct err *err)
{
	size_t len;
	const char *text = json_text_kept(doc, false, &len, err);

	(void)out;
	if (!text)
		return -1;
	if (len + 2 > LINES_BYTES - used)
		return err_set(err, ERR_FAILED, "more records than a test has");
	memcpy(triage_lines + used, text, len);
	used += len;
	triage_lines[used++] = '\n';
	triage_lines[used] = '\0';
	return 0;
}

void triage_lines_clear(void)
{
	used = 0;
	triage_lines[0] = '\0';
}

/* No test of these has files. */
void out_abandon(struct out *out, struct out_file *file)
{
	(void)out;
	(void)file;
	abort();
}

bool triage_line_with(const char *text, ...)
{
	const char *line = triage_lines, *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		const char *piece = text;
		bool all = true;
		va_list args;

		va_start(args, text);
		for (; piece && all; piece = va_arg(args, const char *))
			all = memmem(line, (size_t)(end - line), piece, strlen(piece));
		va_end(args);
		if (all)
			return true;
	}
	return false;
}

size_t triage_lines_count(const char *text)
{
	const char *line = triage_lines, *end;
	size_t count = 0;

	for (; (end = strchr(line, '\n')); line = end + 1)
		count += memmem(line, (size_t)(end - line), text, strlen(text)) != NULL;
	return count;
}
