/*
 * capture: the machine's memory into an image. Thin: which source, where the evidence
 * goes, and the record of what was captured; toolkit/lib/pipeline.c does the work.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/capture/capture.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/clock.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/gone.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/limeload.h"
#include "toolkit/lib/mountdev.h"
#include "toolkit/lib/place.h"
#include "toolkit/lib/processor.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/remote.h"
#include "toolkit/lib/sourceutil.h"

/* Large, and one of it: not on a stack. */
static struct capture cap;

static struct processors processors;
static _Alignas(IO_BLOCK) unsigned char image_arena[2 * IO_BLOCK];
static _Alignas(IO_BLOCK) unsigned char log_arena[IO_BLOCK];

static int open_dir(const char *path, int *fd, struct err *err)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, errno, "opening %s", path) : 0;
}

static int open_env(const struct options *opt, struct err *err)
{
	cap.env.kmods_dir = opt->kmods;
	cap.env.manifest_sha256 = opt->manifest_sha256;
	cap.env.catalogue_least = opt->catalogue_least;
	cap.env.allow_untested = opt->allow_untested;
	cap.env.max_read_bytes = IO_CHUNK_BYTES;
	if (open_dir(opt->proc, &cap.env.proc_dirfd, err) < 0 ||
	    open_dir(opt->sys, &cap.env.sys_dirfd, err) < 0 ||
	    open_dir(opt->dev, &cap.env.dev_dirfd, err) < 0)
		return -1;
	if (ranges_read_iomem(cap.env.proc_dirfd, &cap.ranges, err) < 0)
		return -1;
	cap.pipeline.arena_bytes =
		opt->arena_bytes ? opt->arena_bytes
				 : pipeline_arena_for(ranges_bytes(&cap.ranges));
	return 0;
}

/* The source to read from: the one asked for, or the first that the preflight allows. */
static int choose_source(const struct options *opt, struct err *err)
{
	int first = preflight(&cap.env, &cap.ranges, opt->source != NULL, &cap.preflight);
	char why[400] = "";

	if (opt->source) {
		cap.source.ops = source_find(opt->source);
		return 0;
	}
	if (first >= 0) {
		cap.source.ops = cap.preflight.at[first].ops;
		return 0;
	}
	for (size_t i = 0; i < PREFLIGHT_SOURCES; i++)
		snprintf(why + strlen(why), sizeof(why) - strlen(why), "; %s: %.90s",
			 cap.preflight.at[i].ops->name,
			 cap.preflight.at[i].verdict.reason);
	return err_set(err, ERR_REFUSED, "no source of memory is usable%s", why);
}

/*
 * The second source is for single pages, and never one that loads code. Its verdict in
 * the preflight becomes what opening it said.
 */
static void open_second(void)
{
	struct source_env env = cap.env;
	struct err err, ignored;

	env.max_read_bytes = IO_BLOCK;
	env.direct_map = cap.source.direct_map;
	for (size_t i = 0; i < PREFLIGHT_SOURCES; i++) {
		const struct source_ops *ops = cap.preflight.at[i].ops;
		struct source_verdict *verdict = &cap.preflight.at[i].verdict;

		if (ops == cap.source.ops || ops->loads_code || ops->sequential ||
		    (cap.preflight.at[i].asked && !verdict->usable))
			continue;
		cap.second.ops = ops;
		if (ops->open(&cap.second, &env, &cap.ranges, &err) == 0) {
			verdict_set(verdict, true, "opened for what %s does not give",
				    cap.source.ops->name);
			cap.has_second = true;
			return;
		}
		verdict_set(verdict, false, "%s", err.text);
		ops->close(&cap.second, &ignored);
	}
}

/*
 * Opened by the first page that the source does not give, which may be refused anywhere:
 * most captures never need it, and its memory is the machine's. Only the pipeline's
 * reader comes here.
 */
static ssize_t read_second(struct source *source, uint64_t phys, void *buf, size_t len)
{
	(void)source;
	if (!cap.asked_second) {
		cap.asked_second = true;
		open_second();
	}
	return cap.has_second ? cap.second.ops->read(&cap.second, phys, buf, len) : 0;
}

static const struct source_ops second_on_demand = { .name = "second",
						    .read = read_second };
static struct source on_demand = { .ops = &second_on_demand };

static void set_format(const char *format)
{
	cap.format = format;
	cap.pipeline.encoder = strcmp(format, "avml") == 0  ? &encoder_avml
			       : strcmp(format, "zst") == 0 ? &encoder_zst
							    : NULL;
	cap.pipeline.layout = cap.pipeline.encoder	   ? LAYOUT_ENCODER
			      : strcmp(format, "raw") == 0 ? LAYOUT_RAW
							   : LAYOUT_LIME;
}

static const char *suffix(void)
{
	if (cap.pipeline.encoder)
		return cap.pipeline.encoder->suffix;
	return cap.pipeline.layout == LAYOUT_RAW ? "raw" : "lime";
}

/* The image's name in the evidence directory, at the end of cap.path too. */
static void set_evidence_name(void)
{
	char *base = strrchr(cap.path, '/') + 1;

	snprintf(cap.name, sizeof(cap.name), "memory.%s", suffix());
	snprintf(base, sizeof(cap.path) - (size_t)(base - cap.path), "%s", cap.name);
}

static bool to_stdout(void)
{
	return cap.opt->output && strcmp(cap.opt->output, "-") == 0;
}

/* Where the image goes: *dirfd, -1 for standard output; cap.name and cap.path are set. */
static int open_destination(const struct options *opt, int *dirfd, struct err *err)
{
	static char copy[PATH_MAX];

	if (to_stdout()) {
		snprintf(cap.path, sizeof(cap.path), "standard output");
		return 0;
	}
	if (opt->evidence || opt->to_s3) {
		char place[256] = "";

		if (opt->evidence)
			*dirfd = place_make(opt->evidence, opt->instance, place,
					    sizeof(place), err);
		else
			place_name(opt->instance, time(NULL), place, sizeof(place));
		snprintf(cap.path, sizeof(cap.path), "%s/", place);
		set_evidence_name();
		remote_set_place(place);
		return opt->evidence && *dirfd < 0 ? -1 : 0;
	}
	if (strlen(opt->output) >= sizeof(copy))
		return err_set(err, ERR_USAGE, "%s: name too long", opt->output);
	strcpy(copy, opt->output);
	snprintf(cap.name, sizeof(cap.name), "%s", basename(copy));
	strcpy(copy, opt->output);
	snprintf(cap.path, sizeof(cap.path), "%s", opt->output);
	*dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return err_sys(err, errno, "opening the directory of %s", opt->output);
	return 0;
}

/* The most that the image can take: nothing compresses, and every block has a header. */
static uint64_t worst_bytes(void)
{
	uint64_t lime = lime_image_bytes(&cap.ranges);

	if (cap.pipeline.layout == LAYOUT_LIME)
		return lime;
	return lime + lime / 512 + (1 << 20);
}

/*
 * Opens the image, with the room reserved for all that it can become: an image that fills
 * the volume half-way has cost the evidence that its pages displaced.
 */
static int open_image(int dirfd, bool hash_file, struct err *err)
{
	bool raw = cap.pipeline.layout == LAYOUT_RAW;

	if (sink_open(&cap.image, dirfd, cap.name, image_arena, sizeof(image_arena),
		      raw ? 0 : worst_bytes(), hash_file, err) < 0)
		return -1;
	/* raw is sparse: its holes take no room, and a machine with memory above 4 GiB
	 * has more of them than of memory. */
	if (!raw || sink_reserve_ranges(&cap.image, &cap.ranges, err) == 0)
		return 0;
	sink_remove(&cap.image);
	return -1;
}

/* A directory of evidence, on the volume or elsewhere, and not the image alone. */
static bool has_evidence(void)
{
	return cap.opt->evidence || cap.store.remote;
}

static int open_log(struct err *err)
{
	if (!has_evidence())
		return 0;
	return store_open(&cap.store, &cap.log, "memory.chunks", log_arena,
			  sizeof(log_arena), pipeline_log_bytes(&cap.pipeline), err);
}

/* Is dirfd on the volume that this program came from, and not on a disk of the host's? */
static bool on_volume(int dirfd)
{
	struct stat program, st;

	return stat("/proc/self/exe", &program) == 0 && fstat(dirfd, &st) == 0 &&
	       program.st_dev == st.st_dev;
}

static int open_sinks(int dirfd, struct err *err)
{
	/* lime is hashed by the pipeline as the stream it is. */
	bool hash_file = !cap.opt->no_hash && cap.pipeline.layout != LAYOUT_LIME;

	cap.image.fd = cap.log.fd = -1;
	if (dirfd < 0) {
		if (sink_open_stream(&cap.image,
				     to_stdout() ? "standard output" : cap.name,
				     to_stdout() ? &place_stdout : NULL, image_arena,
				     sizeof(image_arena), hash_file, err) < 0)
			return -1;
	} else if (open_image(dirfd, hash_file, err) < 0) {
		return -1;
	}
	if (store_send_too(&cap.store, &cap.image, worst_bytes(), err) < 0)
		return -1;
	if (!cap.image.direct)
		fputs("capture: warning: " CAPTURE_NOT_DIRECT_WARNING "\n", stderr);
	if (open_log(err) < 0)
		return -1;
	/* Room that was reserved has brought its bitmaps into memory: the arena takes
	 * their pages. */
	return cap.opt->evidence && on_volume(dirfd)
		       ? mountdev_settle(dirfd, cap.image.fd, err)
		       : 0;
}

static int finish_image(struct err *err)
{
	cap.file_bytes = sink_position(&cap.image);
	if (sink_finish(&cap.image, cap.file_sha256, err) < 0)
		return -1;
	store_take_remote_err(&cap.store, &cap.image);
	if (cap.pipeline.layout == LAYOUT_LIME)
		memcpy(cap.file_sha256, cap.pipeline.stream_sha256, SHA256_LEN);
	return 0;
}

static int write_image(int dirfd, struct err *err)
{
	int rc;

	if (open_sinks(dirfd, err) < 0) {
		sink_abandon(&cap.image);
		sink_abandon(&cap.log);
		return -1;
	}
	cap.pipeline.sink = &cap.image;
	cap.pipeline.log = has_evidence() ? &cap.log : NULL;
	progress_start(&cap.progress, "capture", ranges_bytes(&cap.ranges));
	rc = pipeline_run(&cap.pipeline, err);
	progress_end(&cap.progress);
	if (rc < 0 && cap.pipeline.did_not_fit && sink_can_patch(&cap.image)) {
		fprintf(stderr, "capture: warning: %s: written as lime instead\n",
			err->text);
		sink_remove(&cap.image);
		sink_remove(&cap.log);
		snprintf(cap.fallback, sizeof(cap.fallback), "%s", err->text);
		set_format("lime");
		if (has_evidence())
			set_evidence_name();
		return write_image(dirfd, err);
	}
	/* Of whole evidence evidence_write() makes everything durable at once. */
	cap.image.deferred = cap.opt->evidence != NULL;
	if (rc == 0)
		rc = finish_image(err);
	else
		cap.file_bytes = sink_position(&cap.image);
	if (rc < 0)
		sink_abandon(&cap.image);
	/* The log of a broken capture is what its image is checked by. */
	if (has_evidence()) {
		struct err log_err;

		cap.log.deferred = rc == 0;
		if (store_finish(&cap.store, &cap.log, rc == 0 ? err : &log_err) < 0)
			rc = -1;
	}
	return rc;
}

/* The list in the JSON line is short: an SSM step's output is cut at 24,000 characters.
 */
#define GAPS_SHOWN 32

static int print_json(struct err *err)
{
	struct json *doc = json_new();
	char hex[SHA256_HEX_SIZE];

	if (!doc)
		return err_sys(err, ENOMEM, "describing the capture");
	evidence_describe(&cap, doc, json_root(doc), GAPS_SHOWN);
	if (cap.has_custody) {
		sha256_to_hex(cap.custody_head, hex);
		json_add_str(doc, json_root(doc), "custody_head", hex);
	}
	return cli_print_json(doc, err);
}

static void print_gaps(void)
{
	const struct gaps *gaps = &cap.pipeline.gaps;

	for (size_t i = 0; i < gaps->count; i++)
		fprintf(stderr, "capture: gap 0x%" PRIx64 "-0x%" PRIx64 ": %s\n",
			gaps->at[i].range.start, gaps->at[i].range.end,
			record_gap_reason(&gaps->at[i]));
	if (gaps->unlisted)
		fprintf(stderr, "capture: %" PRIu64 " more gaps\n", gaps->unlisted);
}

static int do_check(struct err *err)
{
	int first = preflight(&cap.env, &cap.ranges, true, &cap.preflight);
	struct json *doc;

	if (!cap.opt->json) {
		for (size_t i = 0; i < PREFLIGHT_SOURCES; i++)
			printf("%-6s %s: %s\n", cap.preflight.at[i].ops->name,
			       cap.preflight.at[i].verdict.usable ? "usable" : "refused",
			       cap.preflight.at[i].verdict.reason);
		printf("%zu ranges, %" PRIu64
		       " bytes of memory; the image passes through "
		       "%zu pages of it\n",
		       cap.ranges.count, ranges_bytes(&cap.ranges),
		       cap.pipeline.arena_bytes / IO_BLOCK);
	} else {
		doc = json_new();
		if (!doc)
			return err_sys(err, ENOMEM, "describing the sources");
		record_preflight(doc, json_root(doc), &cap.preflight);
		json_add_u64(doc, json_root(doc), "ranges", cap.ranges.count);
		json_add_u64(doc, json_root(doc), "ram_bytes", ranges_bytes(&cap.ranges));
		json_add_u64(doc, json_root(doc), "arena_bytes",
			     cap.pipeline.arena_bytes);
		if (cli_print_json(doc, err) < 0)
			return -1;
	}
	return first < 0 ? err_set(err, ERR_REFUSED, "no source of memory is usable") : 0;
}

static int capture_into(int dirfd, struct err *err)
{
	struct err failure;
	int rc;

	cap.start_ns = clock_ns(CLOCK_REALTIME);
	cap.booted_ns = cap.start_ns - clock_ns(CLOCK_BOOTTIME);
	cap.store.dirfd = cap.opt->evidence ? dirfd : -1;
	cap.store.hashing = !cap.opt->no_hash;
	rc = write_image(dirfd, err);
	cap.end_ns = clock_ns(CLOCK_REALTIME);
	cap.booted_at_end_ns = cap.end_ns - clock_ns(CLOCK_BOOTTIME);
	pipeline_arena_shrink(&cap.pipeline);
	/* Only now: what is asked of the machine takes pages of it. */
	record_vmcoreinfo(cap.env.proc_dirfd, cap.pipeline.map, cap.pipeline.map_bytes,
			  cap.vmcoreinfo);
	cap.five_level_paging =
		record_five_level_paging(cap.env.proc_dirfd, cap.vmcoreinfo);
	if (cap.five_level_paging)
		fputs("capture: warning: " CAPTURE_FIVE_LEVEL_WARNING "\n", stderr);
	if (rc == 0)
		print_gaps();
	if (!has_evidence())
		return rc;
	/* What went wrong first is what is reported. */
	if (rc < 0) {
		failure = *err;
		evidence_write(&cap, dirfd, &failure, err);
		*err = failure;
		return -1;
	}
	if (evidence_write(&cap, dirfd, NULL, err) < 0)
		return -1;
	if (!cap.store.remote_failed)
		return 0;
	*err = cap.store.remote_err;
	return err_prefix(err, "the evidence is whole on the volume, but not in S3");
}

static int do_capture(const struct options *opt, struct err *err)
{
	int dirfd = -1, rc = -1;
	struct err close_err;

	if (choose_source(opt, err) < 0)
		return -1;
	/* Source first: a refusal leaves no empty evidence directory behind. */
	if (cap.source.ops->open(&cap.source, &cap.env, &cap.ranges, err) < 0)
		goto out;
	set_format(opt->format);
	cap.pipeline.source = &cap.source;
	cap.pipeline.second = cap.source.ops->sequential ? NULL : &on_demand;
	cap.pipeline.ranges = &cap.ranges;
	cap.pipeline.workers = opt->workers;
	cap.pipeline.hash = !opt->no_hash;
	cap.pipeline.progress = &cap.progress;
	cap.pipeline.interrupted = &interrupted;
	cap.pipeline.spread = &processors;
	if (pipeline_arena_take(&cap.pipeline, err) < 0)
		goto out;
	if (opt->to_s3 && !(cap.store.remote = remote_open(&opt->s3, &interrupted, err)))
		goto out;
	if (open_destination(opt, &dirfd, err) == 0)
		rc = capture_into(dirfd, err);
out:
	pipeline_arena_release(&cap.pipeline);
	remote_close();
	io_close(&dirfd);
	if (cap.has_second)
		cap.second.ops->close(&cap.second, &close_err);
	if (cap.source.ops->close(&cap.source, rc < 0 ? &close_err : err) < 0)
		rc = -1;
	return rc;
}

/* After a capture that was killed. */
static int do_unload(struct err *err)
{
	bool removed;

	if (source_need_real_proc(&cap.env, err) < 0 ||
	    limeload_remove_left(cap.env.proc_dirfd, cap.env.sys_dirfd, &removed, err) <
		    0)
		return -1;
	puts(removed ? "the module " LIMELOAD_MODULE " was unloaded"
		     : "no module " LIMELOAD_MODULE " is loaded");
	return 0;
}

static int run(const struct options *opt, struct err *err)
{
	if (open_env(opt, err) < 0)
		return -1;
	if (opt->check)
		return do_check(err);
	if (opt->unload)
		return do_unload(err);
	if (do_capture(opt, err) < 0)
		return -1;
	return opt->json ? print_json(err) : 0;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct err err = { 0 };
	int code = options_parse(argc, argv, &opt);

	if (code < 0) {
		cap.opt = &opt;
		cap.env.proc_dirfd = cap.env.sys_dirfd = cap.env.dev_dirfd = -1;
		interrupt_catch();
		/* Packing, and sending to S3, want every processor there is. */
		if (strcmp(opt.format, "lime") == 0 && !opt.to_s3)
			processor_stay(&processors);
		gone_guard("capture");
		if (run(&opt, &err) < 0)
			code = err_report(&err, "capture");
		else
			code = cap.pipeline.gaps.bytes ? ERR_GAPS : 0;
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "capture");
	return code;
}
