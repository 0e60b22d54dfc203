/*
 * One command of vmctl each, and what they share. A command gets its own arguments
 * (argv[0] is the command's name) and returns the exit code.
 */
#ifndef FVOL_VM_VMCTL_H
#define FVOL_VM_VMCTL_H

#include <stdint.h>

/* The answer was got and is yes; was got and is no; usage; no connection; never came. */
enum { VM_YES = 0, VM_NO = 1, VM_USAGE = 2, VM_NOBODY = 4, VM_NEVER = 5 };

/*
 * Connects to a unix socket by a path of any length (the kernel's limit of 108 bytes is
 * got round). Returns a non-blocking descriptor, or -1 with errno.
 */
int connect_unix(const char *path);

/* Prints "vmctl: ..." on standard error and returns code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int usage(void);

int cmd_qmp(int argc, char **argv);
int cmd_guard(int argc, char **argv);
int cmd_guest(int argc, char **argv);

#endif
