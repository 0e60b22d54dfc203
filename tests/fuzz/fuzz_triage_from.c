/* Hostile records through every output that is made of them. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/memplace.h"
#include "toolkit/lib/json.h"
#include "toolkit/triage/from.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct derived *const all[] = {
	&derived_report,	 &derived_timesketch, &derived_bodyfile,
	&derived_varc_processes, &derived_varc_files,
};
#define ALL (sizeof(all) / sizeof(all[0]))

/* No output holds a byte that a terminal would obey, each line of each has its form. */
static void check_lines(const char *text, const char *name)
{
	size_t bars = 0;

	for (const char *at = text; *at; at++) {
		unsigned char byte = (unsigned char)*at;

		if ((byte < 0x20 && byte != '\n') || byte == 0x7f)
			abort();
		if (strcmp(name, "bodyfile.txt") != 0) {
			if (byte >= 0x80)
				abort();
			continue;
		}
		bars += byte == '|';
		if (byte == '\n') {
			if (bars != 10)
				abort();
			bars = 0;
		}
	}
}

static void check_json(const char *text, size_t len)
{
	struct err err = { 0 };
	struct json_read *doc = json_parse(text, len, &err);

	if (!doc)
		abort();
	json_read_free(doc);
}

/* Every block of data is JSON that holds nothing that markup is made of. */
static void check_page(const char *text)
{
	static const char start[] = "<script type=\"application/json\">",
			  end[] = "</script>";

	while ((text = strstr(text, start))) {
		const char *stop = strstr(text += strlen(start), end);

		if (!stop)
			abort();
		check_json(text, (size_t)(stop - text));
		for (; text < stop; text++)
			if ((*text < 0x20 && *text != '\n') || *text == 0x7f ||
			    strchr("<>&", *text))
				abort();
	}
}

static void check_place(const struct memplace *place)
{
	for (size_t i = 0; i < place->count; i++) {
		const struct out_file *file = &place->files[i];
		const char *text = file->data ? file->data : "";

		if (!file->whole)
			abort();
		if (strstr(file->name, ".html")) {
			check_page(text);
			continue;
		}
		check_lines(text, file->name);
		if (strstr(file->name, ".json") && !strstr(file->name, ".jsonl"))
			check_json(text, file->len);
		if (!strstr(file->name, ".jsonl"))
			continue;
		for (const char *line = text, *end; *line; line = end + 1) {
			end = strchr(line, '\n');
			if (!end)
				abort();
			check_json(line, (size_t)(end - line));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memplace place = { 0 };
	struct from from = { 0 };
	struct err err = { 0 };
	struct out *out = out_new(&memplace_ops, &place, all, ALL, OUT_LINES_NONE, &err);
	int fd = memfd_create("records", MFD_CLOEXEC), rc;

	if (!out || fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	lseek(fd, 0, SEEK_SET);
	rc = from_read(fd, out, &from, &err);
	if (rc == 0) {
		if (out_finish(out, &err) < 0)
			abort();
		check_place(&place);
	} else if (!err.text[0]) {
		abort();
	}
	out_free(out);
	close(fd);
	memplace_clear(&place);
	return 0;
}
