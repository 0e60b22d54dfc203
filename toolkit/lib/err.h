/*
 * Errors as one sentence. A library never prints and never exits: it fills a struct err
 * that its caller owns, callers add what they were doing in front, and main prints the
 * whole once: "capture: reading /proc/kcore at 0x100000000: Bad address".
 */
#ifndef FVOL_ERR_H
#define FVOL_ERR_H

/* The kinds are the exit codes of every tool and script. */
enum err_kind {
	ERR_NONE = 0,	 /* done and checked */
	ERR_NO = 1,	 /* the answer is no: a hash or signature differs */
	ERR_USAGE = 2,	 /* wrong arguments */
	ERR_GAPS = 3,	 /* output written with recorded gaps */
	ERR_REFUSED = 4, /* the system refuses: permission, lockdown, no device */
	ERR_FAILED = 5,	 /* failed */
};

struct err {
	enum err_kind kind;
	char text[512];
};

/* Sets kind and sentence. Returns -1, so that "return err_set(...)" reads well. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Sets the sentence followed by the system's words for errnum. EPERM and EACCES are
 * ERR_REFUSED, everything else is ERR_FAILED. Returns -1.
 */
int err_sys(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the sentence; the kind stays. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Prints "program: sentence" to stderr, control bytes as \xHH (names read from a host are
 * the attacker's text), and returns the exit code of the kind. A struct that was never
 * set reports as ERR_FAILED: no error without a sentence counts as success.
 */
int err_report(const struct err *err, const char *program);

#endif
