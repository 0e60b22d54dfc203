/*
 * What the commands of kmods have in common on their command lines: options by long names
 * alone, each at most once.
 */
#ifndef FVOL_KMODS_OPTIONS_H
#define FVOL_KMODS_OPTIONS_H

#include <stdbool.h>

#define PROGRAM "kmods"
#define OPTIONS_MAX 24

/* One of the two is set: an option that takes a text, or one that is a word alone. */
struct kmods_option {
	const char *name;
	const char **value;
	bool *flag;
};

/* Prints what is wrong and the pointer to --help; what may be empty. Returns ERR_USAGE.
 */
int bad_usage(const char *why, const char *what);

/* Prints a sentence on stderr, whatever is in it. */
void say(const char *sentence);

/* A number from 1 to max, or 0 for a text that is none. */
unsigned read_number(const char *text, unsigned max);

/*
 * Reads options, a list that ends with one without a name. argv[0] is the command.
 * Options may stand behind operands, which are moved to the end of argv then. Returns the
 * index of the first operand, or -1 after telling what is wrong.
 */
int read_options(int argc, char **argv, const struct kmods_option *options);

#endif
