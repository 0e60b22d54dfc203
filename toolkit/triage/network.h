/*
 * Network namespaces, looked into one after the other: first everything of one is opened
 * (its tables in /proc and two netlink sockets that stay in it), then it is read from the
 * descriptors, as often as needed, without entering it again. Inner to collect_network().
 */
#ifndef FVOL_TRIAGE_NETWORK_H
#define FVOL_TRIAGE_NETWORK_H

#include "toolkit/lib/netdiag.h"
#include "toolkit/lib/nettable.h"
#include "toolkit/triage/triage.h"

/* A namespace, and by whom it can be reached. */
struct netns {
	uint64_t inode;
	uint32_t processes;
	int32_t pids[4]; /* of the first that live in it; 0: none */
	bool fds_read;	 /* the descriptors of all its processes are known */
	bool own;	 /* triage's own */
	/* Where nobody lives in it: what holds it, a mount below rootfd, or with
	 * below_proc a mount or a descriptor below procfd. */
	char *path;
	bool below_proc;
};

struct netns_list {
	struct netns *items;
	size_t count, room;
	bool failed; /* memory ran out */
};

/* All that can be found: of the census, of mounts, of descriptors. */
void netns_find(const struct triage *t, struct netns_list *list);
void netns_free(struct netns_list *list);

/* Other tables than those of sockets, where netlink does not tell. */
enum {
	TABLE_DEV,
	TABLE_IF_INET6,
	TABLE_ROUTE,
	TABLE_IPV6_ROUTE,
	TABLE_ARP,
	TABLE_PROTOCOLS,
	TABLE_COUNT
};

struct netview {
	int32_t pid;		    /* through whom; 0: nobody */
	int sockets[NET_PROTOCOLS]; /* tables; -1: there is none */
	int tables[TABLE_COUNT];
	int diag, route;       /* netlink; -1: not to be had, then netlink_errno */
	uint64_t own_inode[2]; /* of those two */
	int netlink_errno;     /* 0: it was not tried */
	uint32_t sequence;
	unsigned char *buf; /* of NETDIAG_BUFFER_BYTES; borrowed */
};

/*
 * Opens what there is of a namespace, to be read into buf; 0, or -1 with errno (ESRCH
 * when everybody of it is gone). Closed by netview_close() in both cases.
 */
int netview_open(const struct triage *t, const struct netns *ns, unsigned char *buf,
		 struct netview *view);
void netview_close(struct netview *view);

enum { SHOWN_BY_PROC = 1, SHOWN_BY_NETLINK = 2 };

/* Called for each socket; other than 0 ends the walk. */
typedef int netview_each(void *context, const struct net_socket *socket);
struct netwalk {
	netview_each *each;
	void *context;
	uint64_t refused; /* lines and messages that are none of the kernel's */
	uint64_t shown;	  /* by a table: sockets, without those in TIME_WAIT */
};
/* -1 with errno; what `each` returned, which should be positive; or 0. Of netlink
 * triage's own two sockets are left out. */
int netview_table(struct netview *view, enum net_protocol protocol, struct netwalk *walk);
int netview_dump(struct netview *view, enum net_protocol protocol, struct netwalk *walk);
/*
 * Hands on the lines of any table of text. As above.
 *
 * With brief, a read that leaves a good part of a page empty counts as the last: the
 * kernel's sequence files fill it up while there is more (seq_read_iter() of
 * fs/seq_file.c), and to be told so costs a second walk of the whole hash table of TCP,
 * which is what takes the time.
 */
int netview_lines(int fd, bool brief,
		  int (*line)(void *context, const char *text, size_t len_bytes),
		  void *context);

/* Whether the kernel can answer for a protocol without loading a module. */
struct netmodules {
	bool there[NET_PROTOCOLS];
};
void netmodules_read(const struct triage *t, struct netmodules *modules);

/* Inodes, which fit in 63 bits; the highest is for who uses the set. */
#define INODE_SEEN ((uint64_t)1 << 63)
struct inodes {
	uint64_t *items; /* in order once inodes_sort() was called */
	size_t count, room;
	bool failed; /* something is missing */
};
void inodes_keep(struct inodes *set, uint64_t inode);
void inodes_sort(struct inodes *set);
/* NULL when it is not in a set that is in order. */
uint64_t *inodes_find(const struct inodes *set, uint64_t inode);

/* What is known of the interfaces of the namespace that is being read. */
struct netlinks {
	uint32_t promiscuous[64]; /* those that are no port of a bridge or bond */
	size_t promiscuous_count;
	bool kernel_udp; /* a tunnel, whose socket belongs to the kernel */
};

/* Emits the record `namespace`. */
int network_namespace(struct triage *t, const struct netns *ns, struct netview *view,
		      struct netlinks *links, struct err *err);

/* What one namespace is read with. */
struct network {
	struct triage *t;
	const struct netmodules *modules;
	const struct netns *ns;
	struct netview *view;
	unsigned char *buf; /* of the views */
	struct netlinks links;
	uint64_t refused[NET_PROTOCOLS]; /* lines and messages */
	uint64_t shown[NET_PROTOCOLS];	 /* by the table, without TIME_WAIT */
	bool walked[NET_PROTOCOLS];	 /* the table, to its end */
	bool told[NET_PROTOCOLS];	 /* that the two views differ */
	struct inodes all;		 /* of every socket of every namespace */
	struct left_out *left_out;	 /* LEFT_OUT_MAX */
	size_t left_out_count;
	struct unowned *unowned; /* of all namespaces, UNOWNED_MAX */
	size_t unowned_count;
	struct err *err; /* filled when a record could not be written */
};

/* A socket that seems to be nobody's. */
#define UNOWNED_MAX 1024
struct unowned {
	uint64_t netns, inode;
	enum net_protocol protocol;
	bool still_there, owned;
	bool kernel_likely;
	char text[128];
};

/* A table that shows fewer sockets than the kernel counts. */
#define LEFT_OUT_MAX 64
#define LEFT_OUT_NAMED 64
struct left_out {
	uint64_t netns;
	enum net_protocol protocol;
	int64_t counted, shown;
	struct owner named[LEFT_OUT_NAMED]; /* to a socket of it that no table has */
	size_t named_count;
	bool more; /* there are more of those */
};
/* Holds the kernel's counts of the namespace against what its tables showed. */
int network_counts(struct network *n);
/* Emits what is left of that when every namespace was read. */
int network_counts_end(struct network *n);

/* Emits the sockets of a protocol, and what the two views say differently. */
int network_sockets(struct network *n, enum net_protocol protocol);
/* Those of the namespace from `first` on that are still there stay on the list. */
int network_unowned_again(struct network *n, size_t first);
/* What is left of the list when every descriptor was looked at once more. */
int network_unowned_end(struct network *n);

int network_emit_socket(struct network *n, const struct net_socket *socket,
			unsigned shown_by);
/* "tcp 10.0.0.1:22", for a sentence. */
void network_shown(const struct net_socket *socket, char *text, size_t size);
/* Findings of sockets that read what is not meant for them. */
int network_sniffer(struct network *n, const struct net_socket *socket);

#endif
