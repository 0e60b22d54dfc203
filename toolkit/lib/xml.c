#include "toolkit/lib/xml.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

struct xml_stream {
	XML_Parser parser;
	xml_start *start; /* NULL: texts are not cut */
	xml_element *element;
	void *arg;
	struct err *err;
	bool failed;
	size_t depth;
	size_t path_len[XML_DEPTH_MAX + 1]; /* of the path at each depth */
	size_t text_len[XML_DEPTH_MAX + 1];
	char path[XML_PATH_SIZE];
	char text[XML_DEPTH_MAX + 1][XML_TEXT_SIZE];
};

static void stop(struct xml_stream *reading, const char *why)
{
	if (why)
		err_set(reading->err, ERR_FAILED, "XML at line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(reading->parser), why);
	reading->failed = true;
	XML_StopParser(reading->parser, XML_FALSE);
}

static void XMLCALL on_start(void *data, const char *name, const char **attributes)
{
	struct xml_stream *reading = data;
	size_t at = reading->path_len[reading->depth], len = strlen(name);

	if (reading->failed)
		return;
	if (reading->depth == XML_DEPTH_MAX) {
		stop(reading, "too deep");
		return;
	}
	if (at + 1 + len >= sizeof(reading->path)) {
		stop(reading, "a name is too long");
		return;
	}
	if (at)
		reading->path[at++] = '/';
	memcpy(reading->path + at, name, len + 1);
	reading->depth++;
	reading->path_len[reading->depth] = at + len;
	reading->text_len[reading->depth] = 0;
	if (reading->start &&
	    reading->start(reading->arg, reading->path, (const char *const *)attributes,
			   reading->err) < 0)
		stop(reading, NULL);
}

static void XMLCALL on_text(void *data, const char *text, int len)
{
	struct xml_stream *reading = data;
	size_t *have = &reading->text_len[reading->depth];

	if (reading->failed)
		return;
	if (*have + (size_t)len >= XML_TEXT_SIZE && reading->start)
		len = (int)(XML_TEXT_SIZE - 1 - *have);
	if (*have + (size_t)len >= XML_TEXT_SIZE) {
		stop(reading, "a text is too long");
		return;
	}
	memcpy(reading->text[reading->depth] + *have, text, (size_t)len);
	*have += (size_t)len;
}

static void XMLCALL on_end(void *data, const char *name)
{
	struct xml_stream *reading = data;
	char *text = reading->text[reading->depth];

	(void)name;
	if (reading->failed)
		return;
	text[reading->text_len[reading->depth]] = '\0';
	if (reading->element(reading->arg, reading->path, text, reading->err) < 0) {
		stop(reading, NULL);
		return;
	}
	reading->depth--;
	reading->path[reading->path_len[reading->depth]] = '\0';
}

static void XMLCALL on_doctype(void *data, const char *name, const char *system,
			       const char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	stop(data, "has a document type");
}

static bool open_parser(struct xml_stream *reading)
{
	reading->parser = XML_ParserCreate(NULL);
	if (!reading->parser)
		return false;
	XML_SetUserData(reading->parser, reading);
	XML_SetElementHandler(reading->parser, on_start, on_end);
	XML_SetCharacterDataHandler(reading->parser, on_text);
	XML_SetStartDoctypeDeclHandler(reading->parser, on_doctype);
	return true;
}

static int parse(struct xml_stream *reading, const char *data, size_t len, bool last)
{
	if (len > INT_MAX) {
		stop(reading, "too large");
		return -1;
	}
	if (XML_Parse(reading->parser, data, (int)len, last) == XML_STATUS_OK)
		return 0;
	if (!reading->failed)
		stop(reading, XML_ErrorString(XML_GetErrorCode(reading->parser)));
	return -1;
}

int xml_read(const char *data, size_t len_bytes, xml_element *element, void *arg,
	     struct err *err)
{
	struct xml_stream reading = { .element = element, .arg = arg, .err = err };
	int rc;

	if (!open_parser(&reading))
		return err_set(err, ERR_FAILED, "XML: out of memory");
	rc = parse(&reading, data, len_bytes, true);
	XML_ParserFree(reading.parser);
	return rc;
}

struct xml_stream *xml_stream_new(xml_start *start, xml_element *element, void *arg,
				  struct err *err)
{
	struct xml_stream *stream = calloc(1, sizeof(*stream));

	if (stream) {
		stream->start = start;
		stream->element = element;
		stream->arg = arg;
		if (open_parser(stream))
			return stream;
	}
	free(stream);
	err_set(err, ERR_FAILED, "XML: out of memory");
	return NULL;
}

void xml_stream_free(struct xml_stream *stream)
{
	if (!stream)
		return;
	XML_ParserFree(stream->parser);
	free(stream);
}

int xml_stream_feed(struct xml_stream *stream, const void *data, size_t len_bytes,
		    bool last, struct err *err)
{
	stream->err = err;
	if (stream->failed)
		return err_set(err, ERR_FAILED, "XML: it failed before");
	return parse(stream, data, len_bytes, last);
}

const char *xml_attribute(const char *const *attributes, const char *name)
{
	for (; *attributes; attributes += 2) {
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	}
	return NULL;
}
