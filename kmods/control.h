/*
 * Debian's control format (deb-control(5)) as Packages files and packages have it:
 * stanzas of "Field: value" lines, divided by empty lines. Streaming and bounded: whoever
 * made the file is not trusted.
 */
#ifndef FVOL_KMODS_CONTROL_H
#define FVOL_KMODS_CONTROL_H

#include <stddef.h>

#include "toolkit/lib/err.h"

#define CONTROL_FIELDS_MAX 8
/* Debian's longest Depends has some 20 KiB. */
#define CONTROL_VALUE_SIZE 65536

/*
 * Called for each stanza with the values in the order of the wanted names, "" for what is
 * not there. They live until it returns. Returns 0 to go on, -1 with err.
 */
typedef int control_stanza(void *arg, char *const values[], struct err *err);

struct control;

/*
 * wanted is a list of at most CONTROL_FIELDS_MAX field names, ended by NULL, in the case
 * that they have in the file; it is borrowed. Returns NULL with err for want of memory.
 */
struct control *control_new(const char *const *wanted, control_stanza *stanza, void *arg,
			    struct err *err);
void control_free(struct control *control);

/* Takes the next bytes. Returns 0, or -1 with the line's number in err. */
int control_feed(struct control *control, const void *data, size_t len_bytes,
		 struct err *err);
/* Ends the last line and stanza. Returns 0 or -1. */
int control_end(struct control *control, struct err *err);

#endif
