/*
 * compress: memory images from one format into another, and what they hold. Thin: a
 * decoder stands in the source's place before the pipeline that captures memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/compress/bundle.h"
#include "toolkit/compress/options.h"
#include "toolkit/compress/rangefile.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/pipeline.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/source_decoder.h"

/* One conversion; large, and one of it: not on a stack. */
static struct {
	const struct options *opt;
	struct decoder input;
	struct ranges given;
	struct source_decoder reader;
	struct source source;
	struct pipeline pipeline;
	struct progress progress;
	struct sink sink;
	int dirfd; /* of the output */
	char name[NAME_MAX + 1];
	uint64_t file_bytes;
	uint8_t file_sha256[SHA256_LEN];
	uint8_t check_sha256[SHA256_LEN];
} job;

/* What was written, read back. */
static struct decoder output;

static _Alignas(IO_BLOCK) unsigned char sink_arena[256 * IO_BLOCK];

/* Opens the image and surveys it. */
static int open_input(int *fd, struct err *err)
{
	const struct options *opt = job.opt;
	const struct decoder_ops *ops = opt->from ? decoder_find(opt->from) : NULL;
	bool salvage = opt->salvage || opt->mode == MODE_CHECK;

	*fd = io_open_direct(AT_FDCWD, opt->input, true, err);
	if (*fd < 0)
		return -1;
	if (decoder_open(&job.input, *fd, ops, salvage, err) < 0)
		return err_prefix(err, "%s", opt->input);
	if (opt->ranges && job.input.ops != &decoder_avml &&
	    job.input.ops != &decoder_raw)
		return err_set(err, ERR_USAGE, "--ranges: %s tells its own ranges",
			       job.input.ops->name);
	if (opt->ranges && rangefile_read(opt->ranges, &job.given, err) < 0)
		return -1;
	if (decoder_survey(&job.input, opt->ranges ? &job.given : NULL, err) < 0)
		return err_prefix(err, "%s", opt->input);
	if (job.input.joined_bytes)
		fprintf(stderr,
			"compress: warning: absent memory of less than %" PRIu64
			" bytes was taken into its neighbours: there would be more than "
			"%d ranges\n",
			job.input.joined_bytes, RANGES_MAX);
	return 0;
}

static int open_output(struct err *err)
{
	const struct options *opt = job.opt;
	/* lime is hashed as the stream it is. */
	bool lime = job.pipeline.layout == LAYOUT_LIME;
	static char copy[PATH_MAX];

	if (strlen(opt->output) >= sizeof(copy))
		return err_set(err, ERR_USAGE, "%s: name too long", opt->output);
	strcpy(copy, opt->output);
	snprintf(job.name, sizeof(job.name), "%s", basename(copy));
	strcpy(copy, opt->output);
	job.dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job.dirfd < 0)
		return err_sys(err, errno, "opening the directory of %s", opt->output);
	return sink_open(&job.sink, job.dirfd, job.name, sink_arena, sizeof(sink_arena),
			 lime ? lime_image_bytes(&job.input.ranges) : 0, !lime, err);
}

static void set_format(void)
{
	const char *format = job.opt->format;

	job.pipeline.encoder = strcmp(format, "avml") == 0  ? &encoder_avml
			       : strcmp(format, "zst") == 0 ? &encoder_zst
							    : NULL;
	job.pipeline.layout = job.pipeline.encoder	   ? LAYOUT_ENCODER
			      : strcmp(format, "raw") == 0 ? LAYOUT_RAW
							   : LAYOUT_LIME;
}

static int run_pipeline(struct err *err)
{
	struct pipeline *p = &job.pipeline;
	int rc;

	job.source = source_decoder_open(&job.reader, &job.input, &interrupted);
	p->source = &job.source;
	p->ranges = &job.input.ranges;
	p->sink = &job.sink;
	p->arena_bytes = job.opt->arena_bytes;
	p->workers = job.opt->workers;
	p->writer_works = true;
	p->hash = true;
	p->progress = &job.progress;
	p->interrupted = &interrupted;
	rc = pipeline_arena_take(p, err);
	if (rc == 0) {
		progress_start(&job.progress, "compress",
			       ranges_bytes(&job.input.ranges));
		rc = pipeline_run(p, err);
		progress_end(&job.progress);
		pipeline_arena_release(p);
	}
	/* A pipeline that was stopped by its source knows only that it was stopped. */
	if (source_decoder_finish(&job.reader, rc < 0 ? &(struct err){ 0 } : err) < 0)
		rc = -1;
	if (job.reader.failed) {
		*err = job.reader.err;
		return err_prefix(err, "%s", job.opt->input);
	}
	if (rc < 0 && p->did_not_fit)
		return err_prefix(err, "%s cannot be avml, take lime or zst",
				  job.opt->input);
	return rc;
}

/* Decodes what was written: is the memory in it that went in? */
static int verify_output(int fd, struct err *err)
{
	const struct decoder_ops *ops = decoder_find(job.opt->format);
	bool told = ops == &decoder_lime || ops == &decoder_zst;
	const struct ranges *ranges = &job.input.ranges;
	uint8_t stream[SHA256_LEN];
	int rc = -1;

	if (decoder_open(&output, fd, ops, false, err) < 0 ||
	    decoder_survey(&output, told ? NULL : ranges, err) < 0 ||
	    source_decoder_hash(&output, &interrupted, stream, err) < 0)
		goto out;
	if (output.ranges.count != ranges->count ||
	    memcmp(output.ranges.at, ranges->at, ranges->count * sizeof(ranges->at[0])) !=
		    0 ||
	    memcmp(stream, job.pipeline.stream_sha256, sizeof(stream)) != 0)
		err_set(err, ERR_FAILED, "it holds other memory than was written");
	else
		rc = 0;
out:
	decoder_close(&output);
	return rc;
}

static int check_output(struct err *err)
{
	int fd = io_open_direct(job.dirfd, job.name, false, err);
	int rc = fd < 0 ? -1 : verify_output(fd, err);

	io_close(&fd);
	return rc < 0 ? err_prefix(err, "reading %s back", job.opt->output) : 0;
}

static int write_output(struct err *err)
{
	int rc;

	set_format();
	job.sink.fd = -1;
	if (decoder_start(&job.input, err) < 0)
		return err_prefix(err, "%s", job.opt->input);
	if (open_output(err) < 0)
		return -1;
	rc = run_pipeline(err);
	job.file_bytes = sink_position(&job.sink);
	if (rc == 0)
		rc = sink_finish(&job.sink, job.file_sha256, err);
	if (rc < 0) {
		/* The image that it was made of is still there. */
		sink_remove(&job.sink);
		return -1;
	}
	if (job.pipeline.layout == LAYOUT_LIME)
		memcpy(job.file_sha256, job.pipeline.stream_sha256, SHA256_LEN);
	if (job.opt->no_verify || check_output(err) == 0)
		return 0;
	unlinkat(job.dirfd, job.name, 0);
	return -1;
}

static bool known(const struct decoder_damage *damage)
{
	return damage->range.start <= damage->range.end;
}

static void print_damage(void)
{
	const struct decoder *input = &job.input;

	for (size_t i = 0; i < input->damages; i++) {
		const struct decoder_damage *damage = &input->damage[i];

		fprintf(stderr, "compress: gap ");
		if (known(damage))
			fprintf(stderr, "0x%" PRIx64 "-0x%" PRIx64, damage->range.start,
				damage->range.end);
		else
			fprintf(stderr, "at an unknown address");
		fprintf(stderr, ": byte %" PRIu64 ": %s\n", damage->off, damage->why);
	}
	if (input->damages_unlisted)
		fprintf(stderr, "compress: %" PRIu64 " more gaps\n",
			input->damages_unlisted);
}

static void add_hash(struct json *doc, const char *key, const uint8_t digest[SHA256_LEN])
{
	char hex[SHA256_HEX_SIZE];

	sha256_to_hex(digest, hex);
	json_add_str(doc, json_root(doc), key, hex);
}

static void add_damage(struct json *doc)
{
	struct json_node *list = json_add_array(doc, json_root(doc), "gap_list");

	for (size_t i = 0; i < job.input.damages; i++) {
		const struct decoder_damage *damage = &job.input.damage[i];
		struct json_node *at = json_add_object(doc, list, NULL);
		char text[24];

		json_add_u64(doc, at, "offset", damage->off);
		if (known(damage)) {
			snprintf(text, sizeof(text), "0x%" PRIx64, damage->range.start);
			json_add_str(doc, at, "start", text);
			snprintf(text, sizeof(text), "0x%" PRIx64, damage->range.end);
			json_add_str(doc, at, "end", text);
		}
		json_add_str(doc, at, "reason", damage->why);
	}
}

static void describe(struct json *doc)
{
	struct json_node *root = json_root(doc);
	const struct decoder *input = &job.input;
	bool convert = job.opt->mode == MODE_CONVERT;

	json_add_str(doc, root, "image", convert ? job.opt->output : job.opt->input);
	json_add_str(doc, root, "format", convert ? job.opt->format : input->ops->name);
	json_add_u64(doc, root, "bytes",
		     convert ? job.file_bytes : input->window.size_bytes);
	if (convert) {
		add_hash(doc, "sha256", job.file_sha256);
		json_add_str(doc, root, "input", job.opt->input);
		json_add_str(doc, root, "input_format", input->ops->name);
		json_add_u64(doc, root, "input_bytes", input->window.size_bytes);
		json_add_bool(doc, root, "verified", !job.opt->no_verify);
	}
	if (job.opt->mode != MODE_INFO)
		add_hash(doc, "lime_sha256",
			 convert ? job.pipeline.stream_sha256 : job.check_sha256);
	json_add_u64(doc, root, "ram_bytes", ranges_bytes(&input->ranges));
	json_add_u64(doc, root, "stored_bytes", input->stored_bytes);
	if (input->joined_bytes)
		json_add_u64(doc, root, "joined_bytes", input->joined_bytes);
	json_add_u64(doc, root, "ranges", input->ranges.count);
	record_ranges(doc, root, "range_list", &input->ranges);
	if (job.opt->mode == MODE_INFO)
		return;
	if (convert)
		json_add_u64(doc, root, "gap_bytes", job.pipeline.gaps.bytes);
	json_add_u64(doc, root, "gaps", input->damages + input->damages_unlisted);
	add_damage(doc);
}

static int print_json(struct err *err)
{
	struct json *doc = json_new();

	if (!doc)
		return err_sys(err, ENOMEM, "describing the image");
	describe(doc);
	return cli_print_json(doc, err);
}

static void print_info(void)
{
	const struct ranges *ranges = &job.input.ranges;

	printf("format %s\nbytes %" PRIu64 "\nmemory %" PRIu64 "\nstored %" PRIu64 "\n",
	       job.input.ops->name, job.input.window.size_bytes, ranges_bytes(ranges),
	       job.input.stored_bytes);
	for (size_t i = 0; i < ranges->count; i++)
		printf("range 0x%" PRIx64 " 0x%" PRIx64 "\n", ranges->at[i].start,
		       ranges->at[i].end);
}

static int run(struct err *err)
{
	const struct options *opt = job.opt;
	char hex[SHA256_HEX_SIZE];
	int fd = -1, rc = open_input(&fd, err);

	if (rc == 0 && opt->mode == MODE_CONVERT)
		rc = write_output(err);
	if (rc == 0 && opt->mode == MODE_CHECK &&
	    source_decoder_hash(&job.input, &interrupted, job.check_sha256, err) < 0)
		rc = err_prefix(err, "%s", opt->input);
	if (rc == 0 && opt->mode != MODE_INFO)
		print_damage();
	if (rc == 0 && opt->json)
		rc = print_json(err);
	else if (rc == 0 && opt->mode == MODE_INFO)
		print_info();
	else if (rc == 0 && opt->mode == MODE_CHECK) {
		sha256_to_hex(job.check_sha256, hex);
		printf("%s: the memory in it as lime has SHA-256 %s\n",
		       job.input.ops->name, hex);
	}
	decoder_close(&job.input);
	io_close(&job.dirfd);
	io_close(&fd);
	return rc;
}

static int do_image(const struct options *opt)
{
	struct err err = { 0 };
	bool damaged;

	job.opt = opt;
	job.dirfd = -1;
	interrupt_catch();
	if (run(&err) < 0)
		return err_report(&err, "compress");
	damaged = job.input.damages + job.input.damages_unlisted != 0;
	return !damaged ? 0 : opt->mode == MODE_CHECK ? ERR_NO : ERR_GAPS;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct err err = { 0 };
	int code = options_parse(argc, argv, &opt);

	if (code < 0) {
		if (opt.mode == MODE_BUNDLE)
			code = bundle_make(&opt);
		else if (opt.mode == MODE_BUNDLE_CHECK)
			code = bundle_check(&opt);
		else
			code = do_image(&opt);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "compress");
	return code;
}
