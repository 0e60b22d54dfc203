/*
 * The rooms of the guest's agent: agent.c boots and answers, agent_run.c runs children,
 * agent_mem.c plants memory.
 */
#ifndef FVOL_VM_AGENT_H
#define FVOL_VM_AGENT_H

#include "frame.h"

/* How long the agent waits for the host to take its bytes before it drops them. */
#define SEND_MS 20000

struct agent {
	int tty;
	int sigchld;	/* signalfd */
	int file_fd;	/* the file of a put or get, or -1 */
	int mailbox_fd; /* -1 until first needed */
	struct frame_reader reader;
};

void send_frame(struct agent *a, uint32_t type, uint64_t tag, const void *data,
		size_t len);
void send_ok(struct agent *a, uint64_t tag, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Says what failed with errno's text. */
void send_errno(struct agent *a, uint64_t tag, const char *what);

/* Cuts the next NUL-terminated string off *p. Returns NULL when there is none before end.
 */
const char *next_string(const unsigned char **p, const unsigned char *end);
/* Cuts off the next u32. Returns 0, or -1 when fewer bytes are left. */
int next_u32(const unsigned char **p, const unsigned char *end, uint32_t *out);

/* Opens the mailbox when it is not open yet. Returns 0, or -1 with errno. */
int open_mailbox(struct agent *a);
/* Appends len bytes from the start of the mailbox to fd. Returns 0, or -1 with errno. */
int copy_from_mailbox(struct agent *a, int fd, uint32_t len);

void answer_put_open(struct agent *a, const struct frame *f);
void answer_put_data(struct agent *a, const struct frame *f);
void answer_get_open(struct agent *a, const struct frame *f);
void answer_get_data(struct agent *a, const struct frame *f);
void answer_close(struct agent *a, const struct frame *f);
void answer_run(struct agent *a, const struct frame *f);
void answer_step(struct agent *a, const struct frame *f);
void answer_insmod(struct agent *a, const struct frame *f);
void answer_rmmod(struct agent *a, const struct frame *f);
void answer_plant(struct agent *a, const struct frame *f);
void answer_litter(struct agent *a, const struct frame *f);

#endif
