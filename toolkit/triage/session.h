/* What a run knows of itself and of the machine: set up, and the records at both ends. */
#ifndef FVOL_TRIAGE_SESSION_H
#define FVOL_TRIAGE_SESSION_H

#include "toolkit/triage/triage.h"

/* Opens the trees and learns what we may. t is zeroed but for ->opt. 0, or -1 with err.
 */
int session_open(struct triage *t, struct err *err);

/* The first record. arguments ends by NULL. */
int session_emit_header(struct triage *t, char *const *arguments, struct err *err);

/*
 * The last one. Sets t->incomplete when something that the host has was not read; what
 * ended meanwhile, what this kernel does not have, and what could only be read by
 * changing the host does not count.
 */
int session_emit_end(struct triage *t, struct err *err);

void session_close(struct triage *t);

#endif
