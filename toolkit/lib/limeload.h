/*
 * Loads the LiME module, connects to its stream on 127.0.0.1 and proves that the
 * connection is the one that the module accepted: whoever connects first receives all of
 * the machine's memory, and any local process can.
 *
 * A child process sits in init_module(2), which returns only when the stream has ended,
 * and unloads the module then, even if this process was killed meanwhile. Its memory is a
 * copy: buffers written while it lives should be shared mappings, or they are doubled.
 */
#ifndef FVOL_LIMELOAD_H
#define FVOL_LIMELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"

#define LIMELOAD_MODULE "lime"

struct limeload {
	pid_t child;	/* 0: none */
	int status_fd;	/* the child's last word comes from here */
	int socket;	/* the stream */
	int proc_dirfd; /* borrowed */
	uint16_t port;
};

/*
 * module is the whole .ko, checked by the caller. Returns 0 with load->socket proven
 * ours; -1 when the kernel refuses it, nobody answers within seconds, or another client
 * was first; limeload_stop() must follow either way. To be called by the main thread: the
 * child is told when the thread that started it ends.
 */
int limeload_start(struct limeload *load, int proc_dirfd, const void *module,
		   size_t len_bytes, struct err *err);

/*
 * Ends the stream wherever it is, and waits (bounded) until the module is unloaded.
 * Returns -1 when the module did not load, reported an error, or is still there.
 */
int limeload_stop(struct limeload *load, struct err *err);

/* Is the module in PROC/modules? 1 yes, 2 its init still runs, 0 no, -1 unreadable. */
int limeload_present(int proc_dirfd);

/* Is the module that stands in SYS/module one that a capture loaded, by its parameters?
 */
bool limeload_is_ours(int sys_dirfd);

/*
 * Unloads the module that a capture left behind, which was killed together with its
 * child. Returns 0 with *removed saying whether there was one; -1 when it stays:
 * ERR_REFUSED when no capture loaded it, or its init still runs.
 */
int limeload_remove_left(int proc_dirfd, int sys_dirfd, bool *removed, struct err *err);

/* What PROC/net/tcp says of the connections to a port of 127.0.0.1. */
enum limeload_peer {
	PEER_WAITING, /* nobody's connection was accepted yet */
	PEER_OURS,    /* ours was, by a socket of root */
	PEER_OTHER,   /* another one was */
};

/* Judges the text of PROC/net/tcp; own_port is the connecting side's. */
enum limeload_peer limeload_judge(const char *table, uint16_t port, uint16_t own_port);

#endif
