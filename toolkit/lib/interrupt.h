/*
 * A signal that asks a program to end: it is only noted, and what runs for long looks at
 * the note and ends with what it has.
 */
#ifndef FVOL_INTERRUPT_H
#define FVOL_INTERRUPT_H

#include <signal.h>

/* Set by the first SIGINT, SIGTERM or SIGHUP after interrupt_catch(). */
extern volatile sig_atomic_t interrupted;

/* Catches these three, and ignores SIGPIPE, so that a closed pipe is a write's error. */
void interrupt_catch(void);

#endif
