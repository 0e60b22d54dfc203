/* What netdiag.c and netroute.c share: attributes of netlink messages, lengths checked.
 */
#ifndef FVOL_NETDIAG_PARTS_H
#define FVOL_NETDIAG_PARTS_H

#include "toolkit/lib/netdiag.h"

/* What is left of a message. */
struct netdiag_cursor {
	const unsigned char *at;
	size_t left;
	bool bad; /* an attribute reached beyond it */
};

/* Copies the header that a message begins with, and goes on to what follows it; false,
 * nothing touched, when the message is shorter. */
bool netdiag_take(struct netdiag_cursor *c, void *header, size_t len_bytes);
/* The next attribute; false at the end, or when it does not fit (then bad). */
bool netdiag_attribute(struct netdiag_cursor *c, uint16_t *type,
		       const unsigned char **data, size_t *len);
/* At most what is left. */
void netdiag_skip(struct netdiag_cursor *c, size_t len);
/* A number of the host's byte order; 0 when there is too little of it. */
uint32_t netdiag_u32(const unsigned char *data, size_t len);

/* A message of NETLINK_ROUTE. As netdiag_walk(). */
int netroute_message(struct netdiag_state *state, uint16_t type, struct netdiag_cursor *c,
		     netdiag_each *each, void *context);
/* Adds what follows the header of a request, and returns the type for it. */
uint16_t netroute_request(enum netdiag_kind kind, unsigned char *request, size_t *len);

#endif
