/*
 * The copy of a record that stands in the report: what a page can hold. The whole is in
 * triage.jsonl.
 */
#ifndef FVOL_TRIAGE_REPORT_COPY_H
#define FVOL_TRIAGE_REPORT_COPY_H

#include <stddef.h>

#include "toolkit/lib/json.h"

#define REPORT_TEXT_MAX (size_t)4096 /* bytes, and characters of base64 */
#define REPORT_LIST_MAX (size_t)512  /* items and members */
#define REPORT_DEPTH_MAX 12

/*
 * A copy of a record; the caller frees it. A text that was cut is {"text" or "base64":
 * its beginning, "cut_bytes": what is left out}, a list that was cut ends with
 * {"cut_items": what is left out}. Integers that JavaScript cannot hold are strings. NULL
 * when memory ran out. memory (aligned, may be NULL) is used as far as it reaches, and
 * must outlive the copy.
 */
struct json *report_copy(const struct json_value *record, void *memory,
			 size_t memory_bytes);

#endif
