/* One capture: what was asked, what is open, what came of it. */
#ifndef FVOL_CAPTURE_H
#define FVOL_CAPTURE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "toolkit/capture/options.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/pipeline.h"
#include "toolkit/lib/preflight.h"
#include "toolkit/lib/progress.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/store.h"
#include "toolkit/lib/vmcoreinfo.h"

/* What is said on standard error and in the record. */
#define CAPTURE_FIVE_LEVEL_WARNING                                                       \
	"this kernel uses 5-level page tables (LA57): Volatility 3 up to at least 2.11 " \
	"shows empty lists for it, without an error"
#define CAPTURE_NOT_DIRECT_WARNING                                                       \
	"this file system has no O_DIRECT: the image passes through the page cache"

struct capture {
	/* First and last what is long and mostly never touched: each page of it that is
	 * touched is evidence. */
	struct ranges ranges;
	const struct options *opt;
	struct source_env env;
	struct source source, second;
	bool asked_second, has_second;
	bool has_custody; /* custody_head is set */
	bool five_level_paging;
	int custody_fd;
	struct progress progress;
	struct sink image, log;
	const char *format; /* as written: avml may have become lime */
	char name[NAME_MAX];
	uint8_t file_sha256[SHA256_LEN];
	uint64_t file_bytes;
	uint8_t custody_head[SHA256_LEN];
	int64_t start_ns, end_ns;
	/* Wall clock less time since boot, at start and end: they part when it is set. */
	int64_t booted_ns, booted_at_end_ns;
	struct preflight preflight;
	char path[PATH_MAX]; /* of the image, as the caller would say it */
	char fallback[sizeof(((struct err *)0)->text)]; /* why it is not the format asked
							   for; empty: it is */
	char vmcoreinfo[VMCOREINFO_MAX];		/* "": the kernel has none */
	struct store store;				/* of the evidence */
	struct pipeline pipeline;
};

/* What the last line of output and record.json have in common; so many gaps are listed.
 */
void evidence_describe(const struct capture *cap, struct json *doc, struct json_node *in,
		       size_t gaps_shown);

/*
 * Writes record.json, symbols.tar and SHA256SUMS beside the image, and what was done to
 * custody.jsonl, whose head is then in *cap; after a failure, which the record then
 * tells, no SHA256SUMS.
 */
int evidence_write(struct capture *cap, int dirfd, const struct err *failure,
		   struct err *err);

#endif
