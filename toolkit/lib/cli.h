/*
 * What the command lines of all tools have in common. Unlike the other rooms it prints:
 * it is main's helper, nobody else's.
 */
#ifndef FVOL_CLI_H
#define FVOL_CLI_H

#include <stdio.h>

/*
 * Takes optarg into *slot. The same option twice is a contradiction: says so and returns
 * ERR_USAGE; 0 otherwise.
 */
int cli_set_once(const char *program, const char **slot, const char *option);

/* The same by the value that getopt_long() returned for one of options. */
struct option;
int cli_take_once(const char *program, const char **slot, const struct option *options,
		  int c);

/* Prints "program: why" and the pointer to --help. Returns ERR_USAGE. */
int cli_usage(const char *program, const char *why);

/* Prints text that a host or an attacker chose: control bytes as \xHH. */
void cli_put_text(FILE *out, const char *text);

#endif
