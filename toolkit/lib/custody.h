/*
 * The chain of custody: who did what to which evidence, when, with which hash. A file
 * custody.jsonl stands beside the evidence, one JSON object a line, and each line holds
 * the SHA-256 of the line before it, so that whoever knows the hash of the last line (the
 * head) knows that no line before was changed, added or taken out. Capture and unmount
 * print the head, and the caller keeps it outside the host: until then, and without it,
 * the log proves nothing against somebody who can write the volume.
 *
 * A line has every member, in this order, with no blanks:
 *   seq       1, 2, 3 ...
 *   prev      SHA-256 of the line before, without its newline; 64 zeros in the first line
 *   time      UTC, by the clock of the machine that wrote it
 *   tool      program, and
 *   version   its version
 *   instance  whose evidence it is
 *   uid       effective user of the program
 *   action    captured, failed, hashed, sealed, uploaded, verified ...: lower case and
 * '-' file      name relative to the log's directory sha256    of that file, or null note
 * "" or what else is to be said Only this one spelling is accepted (RFC 8259 would allow
 * others): a line is what its members say, byte for byte, and the tools on the instance
 * need no JSON library for it.
 *
 * A crash may tear the last line. The next append leaves the torn bytes where they are
 * and records them by a line whose action is "torn", with their SHA-256 and their number;
 * its prev is the hash of the last whole line.
 */
#ifndef FVOL_CUSTODY_H
#define FVOL_CUSTODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define CUSTODY_NAME "custody.jsonl"
#define CUSTODY_FILE_MAX 384 /* bytes of a file's name */
#define CUSTODY_NOTE_MAX 256
#define CUSTODY_LINE_MAX 5376 /* with newline and NUL; each byte may become six */

struct custody_line {
	uint64_t seq;
	uint8_t prev[SHA256_LEN];
	char time[40];
	char tool[32];
	char version[32];
	char instance[72];
	uint32_t uid;
	char action[32];
	char file[CUSTODY_FILE_MAX + 1];
	bool has_sha256;
	uint8_t sha256[SHA256_LEN];
	char note[CUSTODY_NOTE_MAX + 1];
};

/*
 * Writes the line with its newline and a NUL. Returns its length without the NUL, or -1
 * and ERR_USAGE when a member cannot be said: action or time of another form, a text that
 * is empty (other than note) or not UTF-8.
 */
int custody_format(const struct custody_line *line, char text[CUSTODY_LINE_MAX],
		   struct err *err);

/*
 * Reads a line of len bytes, without its newline, and accepts only what custody_format()
 * writes. Returns false, *line unspecified, for anything else.
 */
bool custody_parse(const char *text, size_t len_bytes, struct custody_line *line);

/* What the caller says of an event; the rest of the line is made by custody_append(). */
struct custody_event {
	const char *tool;
	const char *instance;
	const char *action;
	const char *file;
	const uint8_t *sha256; /* NULL: none */
	const char *note;      /* NULL: none; control bytes and what is not UTF-8 become
				  '?', and it is cut to CUSTODY_NOTE_MAX */
};

/*
 * Appends one line to NAME in dirfd, made (mode 0600) when it is not there, in one write
 * that is on the disk when it returns; the file is locked meanwhile. head receives the
 * line's hash. ERR_NO, nothing written, when the file does not end as a log does; only
 * its end is looked at. On another failure a torn line may stand at the end.
 *
 * Through the page cache on purpose: it is one page, which reading the end of the file
 * takes as well, and O_DIRECT could not add less than a block in one write.
 */
int custody_append(int dirfd, const char *name, const struct custody_event *event,
		   uint8_t head[SHA256_LEN], struct err *err);

/* The same in two steps, for a log that is open for several lines, or is in memory. */
int custody_open(int dirfd, const char *name, struct err *err);
int custody_append_fd(int fd, const char *name, const struct custody_event *event,
		      uint8_t head[SHA256_LEN], struct err *err);

struct custody_summary {
	uint64_t lines;		   /* whole ones, those that record torn ones included */
	uint64_t torn;		   /* lines that record torn ones */
	uint8_t head[SHA256_LEN];  /* of the last whole line; zeros: the log is empty */
	uint64_t anchor_line;	   /* the line that has the anchor as its hash; 0: none */
	struct custody_line *last; /* caller's, or NULL: the last whole line */
};

/*
 * Called for each line in order; -1 ends the verification, which then fails with what the
 * callback put into err.
 */
typedef int custody_visit(void *arg, const struct custody_line *line, struct err *err);

/*
 * Verifies a whole log from a descriptor of io_open_direct(), in bounded memory. anchor,
 * which may be NULL, is a head that was kept outside. Returns 0 when the chain holds from
 * the first byte to the last. ERR_NO, with line number and offset, and *summary for what
 * holds before, when it does not, or when it ends in a torn line that nothing records.
 * Whether the anchor was found is the caller's to look at.
 */
int custody_verify(int fd, const uint8_t *anchor, custody_visit *visit, void *arg,
		   struct custody_summary *summary, struct err *err);

/*
 * Seals a directory of evidence: verifies its log, checks that SHA256SUMS is the one that
 * the log names last, and appends "sealed" with its hash, unless that is the last line
 * already. ERR_NO, nothing written, when the chain or the hash does not hold.
 */
int custody_seal(int dirfd, const char *tool, const char *instance,
		 uint8_t head[SHA256_LEN], struct err *err);

#endif
