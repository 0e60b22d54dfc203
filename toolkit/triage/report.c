/*
 * report.html: everything in one page that needs nothing else. The records stand in it as
 * data, in blocks that no browser runs; the page's own script, the only one that its
 * policy lets run, shows them. Nothing is kept: records go to the page as they come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/triage/out.h"
#include "toolkit/triage/report_copy.h"
#include "toolkit/triage/report_page.h"
#include "toolkit/triage/text.h"

/* What the script parses at a time when it wants one record. */
#define BLOCK_BYTES (size_t)(256 * 1024)

/* A record is copied within: nearly all are smaller. */
#define COPY_BYTES (size_t)(128 * 1024)

struct report {
	struct text_file to;
	_Alignas(16) char memory[COPY_BYTES];
	size_t block_bytes; /* in the open block; 0: none is open */
};

/* What a policy names a script or style by: 'sha256-BASE64'. */
static void put_hash(struct text *text, const struct report_part *part)
{
	char base64[BASE64_SIZE(SHA256_LEN)];
	uint8_t digest[SHA256_LEN];

	sha256(part->start, part->len, digest);
	base64_encode(digest, sizeof(digest), base64);
	text_printf(text, "'sha256-%s'", base64);
}

static void put_part(struct text *text, const char *before,
		     const struct report_part *part, const char *after)
{
	text_puts(text, before);
	text_put(text, part->start, part->len);
	text_puts(text, after);
}

static int report_begin(void **state, struct out_file *file, const struct place_ops *ops,
			struct err *err)
{
	const struct report_part style = report_style(), script = report_script(),
				 body = report_body();
	struct report *report = calloc(1, sizeof(*report));
	struct text *text;

	*state = report;
	if (!report)
		return err_sys(err, ENOMEM, "making the report");
	report->to.file = file;
	report->to.ops = ops;
	text = &report->to.text;
	text_puts(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
			"<meta charset=\"utf-8\">\n"
			"<meta http-equiv=\"Content-Security-Policy\" "
			"content=\"default-src 'none'; script-src ");
	put_hash(text, &script);
	text_puts(text, "; style-src ");
	put_hash(text, &style);
	text_puts(text, "; base-uri 'none'; form-action 'none'\">\n"
			"<meta name=\"referrer\" content=\"no-referrer\">\n"
			"<meta name=\"viewport\" content=\"width=device-width\">\n"
			"<title>fvol triage</title>\n");
	put_part(text, "<style>", &style, "</style>\n</head>\n<body>\n");
	put_part(text, "", &body, "");
	return text_flow(&report->to, err);
}

static void close_block(struct report *report)
{
	if (report->block_bytes)
		text_puts(&report->to.text, "\n]</script>\n");
	report->block_bytes = 0;
}

/*
 * A record is a line of a JSON array. It is ASCII; without these three nothing in it can
 * end the block, whatever a browser makes of it.
 */
static void put_data(struct text *text, const char *line, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t plain = strcspn(line + i, "<>&");

		text_put(text, line + i, plain);
		i += plain;
		if (i < len)
			text_printf(text, "\\u%04x", line[i++]);
	}
}

static int report_record(void *state, const char *type, const struct json_value *record,
			 const char *line, size_t line_len, struct err *err)
{
	struct report *report = state;
	struct text *text = &report->to.text;
	struct json *doc = report_copy(record, report->memory, sizeof(report->memory));
	char *copy = NULL;
	size_t len;

	(void)type;
	(void)line;
	(void)line_len;
	if (!doc)
		return err_sys(err, ENOMEM, "making the report");
	copy = json_text_ascii(doc, &len, err);
	json_free(doc);
	if (!copy)
		return -1;
	text_puts(text,
		  report->block_bytes ? ",\n" : "<script type=\"application/json\">[\n");
	put_data(text, copy, len);
	free(copy);
	report->block_bytes += len;
	if (report->block_bytes > BLOCK_BYTES)
		close_block(report);
	return text_flow(&report->to, err);
}

static int report_end(void *state, struct err *err)
{
	const struct report_part script = report_script();
	struct report *report = state;

	close_block(report);
	put_part(&report->to.text, "<script>", &script, "</script>\n</body>\n</html>\n");
	return text_flush(&report->to, err);
}

static void report_free(void *state)
{
	struct report *report = state;

	if (report)
		text_free(&report->to.text);
	free(report);
}

const struct derived derived_report = {
	.name = "report.html",
	.begin = report_begin,
	.record = report_record,
	.end = report_end,
	.free = report_free,
};
