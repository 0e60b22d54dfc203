/*
 * The commands of kmods that find packages and bring them here: resolve and fetch. Each
 * reads its own command line, prints, and returns the exit code.
 */
#ifndef FVOL_KMODS_OBTAIN_H
#define FVOL_KMODS_OBTAIN_H

/* The part of the help text that is about them. */
extern const char obtain_usage[];

/* argv[0] is the command's name. Returns the exit code, or -1 when it is none of them. */
int obtain_command(int argc, char **argv);

#endif
