/*
 * Reads the small XML answers of AWS services: each element with its text and where it
 * stands. What a server sends is hostile, so everything is bounded, and a document type
 * (the way to entities) is an error. The library behind it is included by xml.c alone.
 */
#ifndef FVOL_XML_H
#define FVOL_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"

#define XML_DEPTH_MAX 8
#define XML_PATH_SIZE 256  /* of a path, with its NUL */
#define XML_TEXT_SIZE 4096 /* of one element's text, with its NUL */

/*
 * Called at the end of each element: path is the names from the root, joined by '/'
 * ("ListPartsResult/Part/ETag"); text is what stands directly in it ("" or blanks where
 * there are only elements). Both live until it returns. Returns 0 to go on, -1 with err.
 */
typedef int xml_element(void *arg, const char *path, const char *text, struct err *err);

/*
 * Reads a whole document. Returns 0, or -1 with err (with the line) when it is not
 * well-formed, exceeds a bound, or element() fails; element() may have been called
 * before.
 */
int xml_read(const char *data, size_t len_bytes, xml_element *element, void *arg,
	     struct err *err);

/*
 * For documents that come in pieces and are too large to be kept. Called at the begin of
 * each element with its attributes: name, value, name, value, NULL. Returns as above.
 */
typedef int xml_start(void *arg, const char *path, const char *const *attributes,
		      struct err *err);

struct xml_stream;

/*
 * Bounds are those above, but for texts: what is longer is cut, since descriptions are in
 * such documents. Returns NULL with err for want of memory; xml_stream_free() afterwards.
 */
struct xml_stream *xml_stream_new(xml_start *start, xml_element *element, void *arg,
				  struct err *err);
void xml_stream_free(struct xml_stream *stream);

/* Takes the next bytes; last ends the document. After -1 it takes nothing more. */
int xml_stream_feed(struct xml_stream *stream, const void *data, size_t len_bytes,
		    bool last, struct err *err);

/* The value of an attribute, or NULL. */
const char *xml_attribute(const char *const *attributes, const char *name);

#endif
