#include "toolkit/triage/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/triage/text.h"

/* triage.jsonl, report.html, timesketch.jsonl, bodyfile.txt, processes.json, … */
#define DERIVED_MAX 8

/* What is parsed within: a record of 20 KiB, as nearly all are. */
#define PARSE_BYTES (256 * 1024)

struct output {
	const struct derived *kind;
	struct out_file *file; /* NULL: closed */
	void *state;
	bool begun;
};

/* A descriptor as a file of a place, for the lines. */
struct out_file {
	int fd;
};

struct out {
	const struct place_ops *ops; /* NULL: there are no files */
	void *place;
	struct output outputs[DERIVED_MAX];
	size_t count;
	bool lines;		/* are written */
	struct text_file jsonl; /* file is NULL once it is closed */
	_Alignas(16) char memory[PARSE_BYTES];
	struct out_file fd; /* behind jsonl when lines go to a descriptor */
};

static int fd_write(struct out_file *file, const void *data, size_t len_bytes,
		    struct err *err)
{
	const char *at = data;

	while (len_bytes) {
		ssize_t n = write(file->fd, at, len_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n ? errno : EIO, "writing the records");
		at += n;
		len_bytes -= (size_t)n;
	}
	return 0;
}

static const struct place_ops fd_ops = { .write = fd_write };

static int begin(struct out *out, struct output *output, const struct derived *kind,
		 struct err *err)
{
	output->kind = kind;
	output->file = out->ops->open(out->place, kind->name, UINT64_MAX, err);
	if (!output->file)
		return err_prefix(err, "%s", kind->name);
	output->begun = true;
	if (kind->begin(&output->state, output->file, out->ops, err) < 0)
		return err_prefix(err, "%s", kind->name);
	return 0;
}

struct out *out_new(const struct place_ops *ops, void *place,
		    const struct derived *const *derived, size_t count, int lines_fd,
		    struct err *err)
{
	struct out *out = calloc(1, sizeof(*out));

	if (!out) {
		err_sys(err, ENOMEM, "making the outputs");
		return NULL;
	}
	out->ops = ops;
	out->place = place;
	if (count > DERIVED_MAX || (!ops && (count || lines_fd == OUT_LINES_FILE))) {
		err_set(err, ERR_FAILED, "outputs without a place for them");
		goto fail;
	}
	out->lines = lines_fd != OUT_LINES_NONE;
	if (lines_fd == OUT_LINES_FILE) {
		out->jsonl.ops = ops;
		out->jsonl.file = ops->open(place, "triage.jsonl", UINT64_MAX, err);
		if (!out->jsonl.file)
			goto fail;
	} else if (out->lines) {
		out->fd.fd = lines_fd;
		out->jsonl.ops = &fd_ops;
		out->jsonl.file = &out->fd;
	}
	for (size_t i = 0; i < count; i++, out->count++)
		if (begin(out, &out->outputs[i], derived[i], err) < 0) {
			out->count++;
			goto fail;
		}
	return out;
fail:
	out_free(out);
	return NULL;
}

bool out_keeps_files(const struct out *out)
{
	return out->ops != NULL;
}

static int hand_on(struct out *out, const struct json_value *record, const char *line,
		   size_t line_len, struct err *err)
{
	const char *type = json_str(json_get(record, "type"));

	if (!type)
		return err_set(err, ERR_FAILED, "a record without a type");
	for (size_t i = 0; i < out->count; i++) {
		struct output *output = &out->outputs[i];

		if (output->kind->record(output->state, type, record, line, line_len,
					 err) < 0)
			return err_prefix(err, "%s", output->kind->name);
	}
	return 0;
}

static int write_line(struct out *out, const char *line, size_t len, struct err *err)
{
	if (!out->lines)
		return 0;
	text_put(&out->jsonl.text, line, len);
	text_put(&out->jsonl.text, "\n", 1);
	return text_flow(&out->jsonl, err);
}

int out_parsed(struct out *out, const struct json_value *record, const char *line,
	       size_t line_len, struct err *err)
{
	if (write_line(out, line, line_len, err) < 0)
		return -1;
	return hand_on(out, record, line, line_len, err);
}

int out_record(struct out *out, struct json *doc, struct err *err)
{
	struct json_read *record = NULL;
	size_t len;
	char *line = json_text_ascii(doc, &len, err);
	int rc = -1;

	if (!line || write_line(out, line, len, err) < 0)
		goto out;
	if (out->count) {
		/* Once for all of them. */
		record = json_parse_in(line, len, out->memory, sizeof(out->memory), err);
		if (!record || hand_on(out, json_top(record), line, len, err) < 0)
			goto out;
	}
	rc = 0;
out:
	json_read_free(record);
	free(line);
	return rc;
}

struct out_file *out_open(struct out *out, const char *name, uint64_t size_bytes,
			  struct err *err)
{
	if (out->ops)
		return out->ops->open(out->place, name, size_bytes, err);
	err_set(err, ERR_FAILED,
		"%s: records alone are written, there is no place for files", name);
	return NULL;
}

int out_write(struct out *out, struct out_file *file, const void *data, size_t len_bytes,
	      struct err *err)
{
	return out->ops->write(file, data, len_bytes, err);
}

int out_close(struct out *out, struct out_file *file, struct err *err)
{
	return out->ops->close(file, err);
}

void out_abandon(struct out *out, struct out_file *file)
{
	if (file)
		out->ops->abandon(file);
}

/* Both close a file in every case. */
static int finish_lines(struct out *out, struct err *err)
{
	struct out_file *file = out->jsonl.file;

	if (!out->lines)
		return 0;
	if (text_flush(&out->jsonl, err) < 0)
		return -1;
	out->jsonl.file = NULL;
	return out->ops ? out->ops->close(file, err) : 0;
}

static int finish_output(struct out *out, struct output *output, struct err *err)
{
	struct out_file *file = output->file;

	if (output->kind->end(output->state, err) < 0)
		return err_prefix(err, "%s", output->kind->name);
	output->file = NULL;
	return out->ops->close(file, err);
}

int out_finish(struct out *out, struct err *err)
{
	if (finish_lines(out, err) < 0)
		return -1;
	for (size_t i = 0; i < out->count; i++)
		if (finish_output(out, &out->outputs[i], err) < 0)
			return -1;
	return out->ops ? out->ops->finish(out->place, err) : 0;
}

void out_free(struct out *out)
{
	if (!out)
		return;
	for (size_t i = 0; i < out->count; i++) {
		struct output *output = &out->outputs[i];

		if (output->begun)
			output->kind->free(output->state);
		if (output->file)
			out->ops->abandon(output->file);
	}
	if (out->ops && out->jsonl.file)
		out->ops->abandon(out->jsonl.file);
	text_free(&out->jsonl.text);
	free(out);
}
