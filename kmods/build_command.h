/*
 * The commands of kmods that make modules and try them: build and boot-test. Each reads
 * its own command line, prints, and returns the exit code.
 */
#ifndef FVOL_KMODS_BUILD_COMMAND_H
#define FVOL_KMODS_BUILD_COMMAND_H

/* The part of the help text that is about them. */
extern const char build_usage[];

/* argv[0] is the command's name. Returns the exit code, or -1 when it is none of them. */
int build_command(int argc, char **argv);

#endif
