/*
 * The commands of kmods that work on a catalogue that is there: sign, verify, export,
 * import, add, need. Each reads its own command line, prints, and returns the exit code.
 */
#ifndef FVOL_KMODS_COMMANDS_H
#define FVOL_KMODS_COMMANDS_H

/* The part of the help text that is about them. */
extern const char commands_usage[];

/* argv[0] is the command's name. Returns the exit code, or -1 when it is none of them. */
int catalogue_command(int argc, char **argv);

/* need has a file of its own. */
int command_need(int argc, char **argv);

#endif
