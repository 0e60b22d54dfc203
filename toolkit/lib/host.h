/*
 * What the running kernel says of itself and of what it allows: the facts behind each
 * verdict of the preflight. Everything is read below given directories, so that fake
 * trees stand in for tests.
 */
#ifndef FVOL_HOST_H
#define FVOL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum host_lockdown {
	LOCKDOWN_UNKNOWN, /* neither securityfs nor the command line tells */
	LOCKDOWN_NONE,
	LOCKDOWN_INTEGRITY,
	LOCKDOWN_CONFIDENTIALITY,
};

/* Numbers of linux/capability.h. */
#define HOST_CAP_SYS_MODULE 16
#define HOST_CAP_SYS_RAWIO 17
#define HOST_CAP_SYS_PTRACE 19
#define HOST_CAP_SYS_ADMIN 21

#define HOST_RELEASE_SIZE 128
#define HOST_BUILD_ID_SIZE 129 /* 64 bytes in hex digits and a NUL */

/* Comparable as a number: 6.1.116 is 0x06010074. */
#define HOST_VERSION(major, minor, patch)                                                \
	((uint32_t)(major) << 24 | (uint32_t)(minor) << 16 | (uint32_t)(patch))

struct host {
	enum host_lockdown lockdown;
	bool sig_enforce;      /* only signed modules load */
	bool modules_disabled; /* no module loads until the next boot */
	bool has_capabilities; /* capabilities is known */
	uint64_t capabilities; /* effective, bit by number */
	uint32_t version;      /* HOST_VERSION of the upstream source; 0: not known */
	char release[HOST_RELEASE_SIZE]; /* uname -r; empty when not readable */
};

/*
 * Reads PROC/{version,version_signature,cmdline,self/status,sys/kernel/{osrelease,
 * modules_disabled}} and SYS/{kernel/security/lockdown,module/module/parameters/
 * sig_enforce}. What cannot be read stays unknown: that alone refuses nothing. Where PROC
 * is the running kernel's, system calls say the same without a file: each name that is
 * looked up for the first time changes some three pages of the machine's memory.
 *
 * The version is upstream's, because that is what tells which bugs are in: Debian's
 * release 6.1.0-56 is 6.1.192, which PROC/version says, Ubuntu's PROC/version_signature.
 */
void host_read(int proc_dirfd, int sys_dirfd, struct host *host);

/* The same without lockdown and what is of modules, which stay unknown and false. */
void host_identify(int proc_dirfd, struct host *host);

/*
 * The GNU build id of the running kernel, from the notes that it exports
 * (SYS/kernel/notes), in lower-case hex digits. False, hex empty, when it shows none.
 */
bool host_build_id(int sys_dirfd, char hex[HOST_BUILD_ID_SIZE]);

/* False when it is known to be missing; true as well when nothing is known. */
bool host_may(const struct host *host, unsigned capability);

/* "none", "integrity", "confidentiality" or "unknown". */
const char *host_lockdown_name(enum host_lockdown lockdown);

#endif
