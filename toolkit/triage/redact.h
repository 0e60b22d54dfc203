/*
 * --redact: secrets that programs are given by arguments and environment stay out of the
 * evidence. Of a variable only its name and length are kept. Of an argument what follows
 * a name that says secret; what cannot be told from any other word stays.
 */
#ifndef FVOL_TRIAGE_REDACT_H
#define FVOL_TRIAGE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/json.h"

#define REDACTED "[redacted]"

/* Does the name speak of a secret: password, token, key …? */
bool redact_is_secret_name(const char *name, size_t len_bytes);

/*
 * Adds an argument to a list. hide: the one before was an option whose value this is.
 * Returns whether the next one is to be hidden.
 */
bool redact_argument(struct json *doc, struct json_node *list, const char *text,
		     size_t len_bytes, bool hide);

/* Adds {name, value_bytes}. */
void redact_variable(struct json *doc, struct json_node *list, const char *text,
		     size_t len_bytes);

#endif
