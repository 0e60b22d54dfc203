/*
 * What calls of AWS's services have in common, whatever they carry: names of Regions, the
 * headers of a signed request, how long to wait before the next attempt, and whose clock
 * is right.
 */
#ifndef FVOL_AWSCALL_H
#define FVOL_AWSCALL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "toolkit/lib/http.h"
#include "toolkit/lib/sigv4.h"

/* Those that a request has besides the signed ones: date, token, authorization. */
#define AWSCALL_HEADERS 3

/* Can a Region be called so? */
bool awscall_region(const char *region);

/*
 * Fills headers with what a request that was signed is sent with: its own but the first
 * one, which is Host and the HTTP client's, and AWSCALL_HEADERS more, the token only
 * where it is not empty. All of them point into the arguments. Returns how many.
 */
size_t awscall_headers(const struct sigv4_request *request, const char *token,
		       const struct sigv4_headers *signature,
		       struct http_header *headers);

/*
 * "Full jitter": waits for anything from nothing to base_ms doubled attempt times, 20 s
 * at most, so that clients spread. interrupted may be NULL and ends it early.
 */
void awscall_wait(unsigned base_ms, unsigned attempt,
		  const volatile sig_atomic_t *interrupted);

/*
 * Adopts the clock of an answer's Date where it differs by a minute or more from ours
 * with *skew_s (theirs less ours), which is then set. Returns whether it was: the same
 * difference does not help twice.
 */
bool awscall_adopt_clock(const struct http_wanted *date, time_t *skew_s);

#endif
