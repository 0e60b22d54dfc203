#include "kmods/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct control {
	const char *const *wanted;
	control_stanza *stanza;
	void *arg;
	unsigned long line_number;
	size_t len;
	bool cut;   /* the line is longer than what fits */
	bool begun; /* the stanza has a field */
	char line[CONTROL_VALUE_SIZE + 64];
	char *values[CONTROL_FIELDS_MAX];
	bool found[CONTROL_FIELDS_MAX];
	char text[CONTROL_FIELDS_MAX][CONTROL_VALUE_SIZE];
};

static void reset(struct control *c)
{
	c->begun = false;
	for (size_t i = 0; i < CONTROL_FIELDS_MAX; i++) {
		c->found[i] = false;
		c->text[i][0] = '\0';
		c->values[i] = c->text[i];
	}
}

struct control *control_new(const char *const *wanted, control_stanza *stanza, void *arg,
			    struct err *err)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		err_sys(err, errno, "reading control fields");
		return NULL;
	}
	c->wanted = wanted;
	c->stanza = stanza;
	c->arg = arg;
	reset(c);
	return c;
}

void control_free(struct control *control)
{
	free(control);
}

static int end_stanza(struct control *c, struct err *err)
{
	int rc = c->begun ? c->stanza(c->arg, c->values, err) : 0;

	reset(c);
	return rc;
}

static int take_field(struct control *c, struct err *err)
{
	char *colon = memchr(c->line, ':', c->len), *value, *end = c->line + c->len;
	size_t name_len;

	if (!colon || colon == c->line)
		return err_set(err, ERR_FAILED, "it is no field");
	c->begun = true;
	name_len = (size_t)(colon - c->line);
	for (size_t i = 0; i < CONTROL_FIELDS_MAX && c->wanted[i]; i++) {
		if (strlen(c->wanted[i]) != name_len ||
		    memcmp(c->wanted[i], c->line, name_len) != 0)
			continue;
		value = colon + 1;
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		if (c->found[i])
			return err_set(err, ERR_FAILED, "%s stands twice", c->wanted[i]);
		if (c->cut || (size_t)(end - value) >= CONTROL_VALUE_SIZE)
			return err_set(err, ERR_FAILED, "%s is too long", c->wanted[i]);
		if (memchr(value, '\0', (size_t)(end - value)))
			return err_set(err, ERR_FAILED, "%s has a NUL", c->wanted[i]);
		c->found[i] = true;
		memcpy(c->text[i], value, (size_t)(end - value));
		c->text[i][end - value] = '\0';
		return 0;
	}
	return 0;
}

static int end_line(struct control *c, struct err *err)
{
	int rc = 0;

	c->line_number++;
	while (c->len > 0 && !c->cut &&
	       (c->line[c->len - 1] == '\r' || c->line[c->len - 1] == ' ' ||
		c->line[c->len - 1] == '\t'))
		c->len--;
	if (c->len == 0)
		rc = end_stanza(c, err);
	else if (c->line[0] != ' ' && c->line[0] != '\t' && c->line[0] != '#')
		rc = take_field(c, err);
	c->len = 0;
	c->cut = false;
	return rc < 0 ? err_prefix(err, "line %lu", c->line_number) : 0;
}

int control_feed(struct control *c, const void *data, size_t len, struct err *err)
{
	const char *p = data, *stop = p + len;

	while (p < stop) {
		const char *end = memchr(p, '\n', (size_t)(stop - p));
		size_t n = (size_t)((end ? end : stop) - p);
		size_t room = sizeof(c->line) - c->len;

		c->cut = c->cut || n > room;
		memcpy(c->line + c->len, p, n < room ? n : room);
		c->len += n < room ? n : room;
		if (!end)
			break;
		if (end_line(c, err) < 0)
			return -1;
		p = end + 1;
	}
	return 0;
}

int control_end(struct control *c, struct err *err)
{
	if (c->len > 0 && end_line(c, err) < 0)
		return -1;
	return end_stanza(c, err);
}
