/* The line of JSON that a program ends with under --json. */
#ifndef FVOL_CLIJSON_H
#define FVOL_CLIJSON_H

#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"

/* Prints the document as one line on stdout and frees it. Returns 0 or -1 with err. */
int cli_print_json(struct json *doc, struct err *err);

#endif
