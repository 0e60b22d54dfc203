/*
 * Reads the small XML answers of AWS services: each element with its text and where it
 * stands. What a server sends is hostile, so everything is bounded, and a document type
 * (the way to entities) is an error. The library behind it is included by xml.c alone.
 */
#ifndef FVOL_XML_H
#define FVOL_XML_H

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

#endif
