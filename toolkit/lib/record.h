/*
 * What is known of a capture besides the image: record.json, and the symbol bundle from
 * which a symbol file can be made later.
 */
#ifndef FVOL_RECORD_H
#define FVOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/pipeline.h"
#include "toolkit/lib/preflight.h"
#include "toolkit/lib/store.h"
#include "toolkit/lib/vmcoreinfo.h"

/*
 * Reads the VMCOREINFO note of PROC/kcore through scratch, of which 32 KiB are enough for
 * the notes of every kernel so far. Returns its length, 0 when there is none (kernels
 * before 4.19 and those without CONFIG_CRASH_CORE); text is then empty.
 */
size_t record_vmcoreinfo(int proc_dirfd, void *scratch, size_t scratch_bytes,
			 char text[VMCOREINFO_MAX]);

/*
 * Writes BUNDLE_FILE into the store, an archive (see tarfile.h) of what tells kernel
 * types and addresses, each file of it below BUNDLE_DIR: VMCOREINFO, BTF, kallsyms,
 * version, iomem, cmdline, modules with their build ids, the kernel's configuration. What
 * is missing or not readable is entered in `missing` (an array of the record) with the
 * reason; only a write error fails. The bytes pass through arena, which is aligned to
 * IO_BLOCK and has BUNDLE_ARENA_MIN at least. Nothing is durable before the caller's
 * syncfs().
 */
#define BUNDLE_ARENA_MIN (16 * 4096)
#define BUNDLE_DIR "symbols"
#define BUNDLE_FILE BUNDLE_DIR ".tar"
int record_bundle(int proc_dirfd, int sys_dirfd, const char *vmcoreinfo,
		  struct store *store, unsigned char *arena, size_t arena_bytes,
		  struct json *doc, struct json_node *missing, struct err *err);

/* Members of `in`: release, version, build id, KASLR shift, 5-level paging, page size. */
void record_kernel(struct json *doc, struct json_node *in, int proc_dirfd, int sys_dirfd,
		   const char *vmcoreinfo);

/*
 * Does the kernel use 5-level page tables? VMCOREINFO says it, and where there is none
 * the processor flag la57, which the kernel shows only while it uses it. False when
 * neither can be read.
 */
bool record_five_level_paging(int proc_dirfd, const char *vmcoreinfo);

/*
 * What the kernel knows of its clock, adjtimex(2) asked without setting anything: is it
 * disciplined, what is left of the correction under way, how wrong it may be, and TAI -
 * UTC. Adds members to `in`: an object "clock" with synchronised, offset_ns,
 * max_error_us, estimated_error_us and tai_offset_s (0: not set); "error" alone when the
 * kernel refuses. The name of the clocksource stands in the image (curr_clocksource); to
 * ask /sys for it would change fifteen pages of it.
 */
void record_clock(struct json *doc, struct json_node *in);

struct timex;
/* The same from what adjtimex() returned and filled in. */
void record_clock_state(struct json *doc, struct json_node *in, int state,
			const struct timex *timex);

/* Why nothing gave these bytes, in words. */
const char *record_gap_reason(const struct gap *gap);

/* Arrays and objects that the record and the preflight's JSON share. */
void record_ranges(struct json *doc, struct json_node *in, const char *key,
		   const struct ranges *ranges);
void record_gaps(struct json *doc, struct json_node *in, const struct gaps *gaps,
		 size_t limit);
void record_preflight(struct json *doc, struct json_node *in,
		      const struct preflight *preflight);
void record_time(struct json *doc, struct json_node *in, const char *key, int64_t ns);

#endif
