/* Files that make a system run something by itself: which of their lines tell what. */
#ifndef FVOL_TRIAGE_UNITTEXT_H
#define FVOL_TRIAGE_UNITTEXT_H

#include <stdbool.h>
#include <stddef.h>

enum unit_form {
	UNIT_FORM_NONE, /* a program or script: that it is there tells all */
	UNIT_FORM_SYSTEMD, /* Exec…=, On…=, Listen…=, Environment…=, User= and the like */
	UNIT_FORM_PLAIN,    /* every line that is neither empty nor a comment */
	UNIT_FORM_UDEV,	    /* rules that run programs */
	UNIT_FORM_AT,	    /* a script behind an environment */
	UNIT_FORM_MODPROBE, /* install and remove commands */
	UNIT_FORM_PAM,	    /* modules that run programs */
};

struct unit_text {
	enum unit_form form;
	char *at, *end;
};

/* text is changed in place: lines that go on behind a backslash become one. */
void unit_text_begin(struct unit_text *text, enum unit_form form, char *bytes,
		     size_t len_bytes);
/* The next line that tells something, not ended by a NUL; NULL at the end. */
const char *unit_text_next(struct unit_text *text, size_t *len_bytes);

/*
 * The line without what Environment= sets and without the values of options and variables
 * whose names say secret, token, password, key or the like; cut to size. Returns the
 * length in out, which is not ended by a NUL.
 */
size_t unit_text_redact(const char *line, size_t len_bytes, char *out, size_t size);

#endif
