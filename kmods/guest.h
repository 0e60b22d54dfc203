/*
 * One boot test: a kernel out of its image package, an initramfs of our own program and
 * the module, an emulator, and what the program said on the console.
 */
#ifndef FVOL_KMODS_GUEST_H
#define FVOL_KMODS_GUEST_H

#include "kmods/catalogue.h"
#include "kmods/lock.h"
#include "toolkit/lib/err.h"

#define GUEST_FILE_MAX (64u << 20)
#define GUEST_WORDS_SIZE 256

struct guest_test {
	const struct kernel *kernel; /* with an image */
	const struct module *module;
	int modulesfd;	      /* ARCH/RELEASE/lime.ko is below it */
	const char *packages; /* directory of the packages */
	const char *guest;    /* ARCH/init is below it */
	const char *scratch;
	int scratchfd;
	const char *tools;  /* search path of the emulators */
	unsigned timeout_s; /* from power-on to the guest's word */
};

/*
 * Returns 0 with words saying what passed and on which machine, or -1: ERR_NO when the
 * test failed in the guest or never finished, which err tells apart, else ERR_FAILED.
 */
int guest_run(const struct guest_test *test, char words[GUEST_WORDS_SIZE],
	      struct err *err);

/*
 * Judges a console: 1 the guest says that it passed, 0 that it failed, -1 it says nothing
 * of either. words gets what it says, printable and without its end of line.
 */
int guest_judge(const char *console, char words[GUEST_WORDS_SIZE]);

#endif
