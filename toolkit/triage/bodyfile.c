/*
 * bodyfile.txt: the times of files for mactime and Plaso, in the format of The Sleuth
 * Kit 3 (https://wiki.sleuthkit.org/index.php?title=Body_file):
 * MD5|name|inode|mode_as_string|UID|GID|size|atime|mtime|ctime|crtime
 *
 * fls writes "^" for control bytes and leaves "|" as it is; mactime undoes %HH before it
 * prints. So both, and what else a terminal would obey, are \xHH here, the form that
 * Plaso has for it: nothing is lost, no name makes a second line, no %1b becomes an
 * escape.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/triage/out.h"
#include "toolkit/triage/text.h"

#define NAME_MAX_BYTES 65536

static int bodyfile_begin(void **state, struct out_file *file,
			  const struct place_ops *ops, struct err *err)
{
	struct text_file *to = calloc(1, sizeof(*to));

	*state = to;
	if (!to)
		return err_sys(err, ENOMEM, "making the output");
	to->file = file;
	to->ops = ops;
	return 0;
}

/* As `ls -l` and fls: the type by name, a slash, the type by inode, nine letters. */
static void put_mode(struct text *text, const struct json_value *value)
{
	static const char types[16] = "-pc-d-b-r-l-h---"; /* by S_IFMT >> 12 */
	const char *octal = json_str(value);
	unsigned long mode = octal ? strtoul(octal, NULL, 8) & 0177777 : 0;
	char bits[] = "---------";

	for (int i = 0; i < 9; i++)
		if (mode >> (8 - i) & 1)
			bits[i] = "rwxrwxrwx"[i];
	if (mode & 04000)
		bits[2] = bits[2] == 'x' ? 's' : 'S';
	if (mode & 02000)
		bits[5] = bits[5] == 'x' ? 's' : 'S';
	if (mode & 01000)
		bits[8] = bits[8] == 'x' ? 't' : 'T';
	text_printf(text, "%c/%c%s", types[mode >> 12], types[mode >> 12], bits);
}

static void put_number(struct text *text, const struct json_value *value)
{
	uint64_t number;

	text_printf(text, "|%" PRIu64, json_u64(value, &number) ? number : 0);
}

static void put_seconds(struct text *text, const struct json_value *value)
{
	int64_t ns;

	if (!text_time(value, &ns))
		ns = 0;
	/* Down, also before 1970. */
	text_printf(text, "|%" PRId64, ns / 1000000000 - (ns % 1000000000 < 0));
}

static void put_name(struct text *text, const struct json_value *file)
{
	static const char suffix[] = " (deleted)";
	const struct json_value *path = json_get(file, "path");
	size_t start = text->len;

	text_show(text, path, NAME_MAX_BYTES, TEXT_BODYFILE);
	if (!json_true(json_get(file, "deleted")) || text->failed)
		return;
	if (text->len - start < strlen(suffix) ||
	    strcmp(text->data + text->len - strlen(suffix), suffix) != 0)
		text_puts(text, suffix);
}

static int bodyfile_record(void *state, const char *type, const struct json_value *record,
			   const char *line, size_t line_len, struct err *err)
{
	struct text_file *to = state;
	struct text *text = &to->text;

	(void)line;
	(void)line_len;
	if (strcmp(type, "file") != 0 || !text_is(json_get(record, "path")))
		return 0;
	text_puts(text, "0|");
	put_name(text, record);
	put_number(text, json_get(record, "inode"));
	text_puts(text, "|");
	put_mode(text, json_get(record, "mode"));
	put_number(text, json_get(record, "uid"));
	put_number(text, json_get(record, "gid"));
	put_number(text, json_get(record, "size"));
	put_seconds(text, json_get(record, "atime"));
	put_seconds(text, json_get(record, "mtime"));
	put_seconds(text, json_get(record, "ctime"));
	put_seconds(text, json_get(record, "btime"));
	text_puts(text, "\n");
	return text_flow(to, err);
}

static int bodyfile_end(void *state, struct err *err)
{
	return text_flush(state, err);
}

static void bodyfile_free(void *state)
{
	struct text_file *to = state;

	if (to)
		text_free(&to->text);
	free(to);
}

const struct derived derived_bodyfile = {
	.name = "bodyfile.txt",
	.begin = bodyfile_begin,
	.record = bodyfile_record,
	.end = bodyfile_end,
	.free = bodyfile_free,
};
