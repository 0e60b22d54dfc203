/* Tables of the kernel and of the host, line by line, in bounded memory. */
#ifndef FVOL_TRIAGE_TEXTLINES_H
#define FVOL_TRIAGE_TEXTLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct textlines {
	int fd; /* borrowed; read from where it stands */
	char *buf;
	size_t size;		  /* a longer line is left out and counted */
	uint64_t left_bytes;	  /* how much may be read still */
	size_t at, len;		  /* what of buf is not handed out yet */
	uint64_t overlong;	  /* lines left out */
	bool skipping, end, more; /* more: left_bytes did not reach */
	int errnum;		  /* why reading ended; 0: at the end */
};

void textlines_begin(struct textlines *lines, int fd, char *buf, size_t size,
		     uint64_t most_bytes);
/*
 * The next line without its newline, ended by a NUL that is not counted in *len_bytes
 * (there may be others within); NULL at the end. It lasts until the next call.
 */
char *textlines_next(struct textlines *lines, size_t *len_bytes);

/*
 * The next word of a line, ended by blanks or tabs; *at moves behind it. NULL when there
 * is none. The word is ended by a NUL in place.
 */
char *textlines_word(char **at);
/* A number written in hex, with or without 0x, and nothing else. */
bool textlines_hex(const char *text, uint64_t *value);
bool textlines_decimal(const char *text, uint64_t *value);

#endif
