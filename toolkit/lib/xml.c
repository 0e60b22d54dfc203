#include "toolkit/lib/xml.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <expat.h>

struct reading {
	XML_Parser parser;
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

static void stop(struct reading *reading, const char *why)
{
	if (why)
		err_set(reading->err, ERR_FAILED, "XML at line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(reading->parser), why);
	reading->failed = true;
	XML_StopParser(reading->parser, XML_FALSE);
}

static void XMLCALL on_start(void *data, const char *name, const char **attributes)
{
	struct reading *reading = data;
	size_t at = reading->path_len[reading->depth], len = strlen(name);

	(void)attributes;
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
}

static void XMLCALL on_text(void *data, const char *text, int len)
{
	struct reading *reading = data;
	size_t *have = &reading->text_len[reading->depth];

	if (reading->failed)
		return;
	if (*have + (size_t)len >= XML_TEXT_SIZE) {
		stop(reading, "a text is too long");
		return;
	}
	memcpy(reading->text[reading->depth] + *have, text, (size_t)len);
	*have += (size_t)len;
}

static void XMLCALL on_end(void *data, const char *name)
{
	struct reading *reading = data;
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

int xml_read(const char *data, size_t len_bytes, xml_element *element, void *arg,
	     struct err *err)
{
	struct reading reading = { .element = element, .arg = arg, .err = err };
	int rc = -1;

	if (len_bytes > INT_MAX)
		return err_set(err, ERR_FAILED, "XML: too large");
	reading.parser = XML_ParserCreate(NULL);
	if (!reading.parser)
		return err_set(err, ERR_FAILED, "XML: out of memory");
	XML_SetUserData(reading.parser, &reading);
	XML_SetElementHandler(reading.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reading.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
	if (XML_Parse(reading.parser, data, (int)len_bytes, XML_TRUE) == XML_STATUS_OK)
		rc = 0;
	else if (!reading.failed)
		stop(&reading, XML_ErrorString(XML_GetErrorCode(reading.parser)));
	XML_ParserFree(reading.parser);
	return rc;
}
