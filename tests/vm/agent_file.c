/*
 * Files into and out of the guest, through the mailbox disk.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define BLOCK 4096

static unsigned char buffer[CHUNK] __attribute__((aligned(BLOCK)));

/* Returns whether the block device has the mailbox's serial number. */
static int is_mailbox(const char *name)
{
	char path[300], serial[64] = "";

	snprintf(path, sizeof(path), "/sys/block/%.200s/device/serial", name);
	FILE *in = fopen(path, "re");
	if (!in)
		return 0;
	int n = fscanf(in, "%63s", serial);
	fclose(in);
	return n == 1 && !strcmp(serial, MAILBOX_SERIAL);
}

static int find_mailbox(struct agent *a)
{
	struct dirent *de;
	char path[300];

	if (a->mailbox_fd >= 0)
		return 0;
	DIR *dir = opendir("/sys/block");
	if (!dir)
		return -1;
	while (a->mailbox_fd < 0 && (de = readdir(dir))) {
		if (!is_mailbox(de->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%.200s", de->d_name);
		a->mailbox_fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	}
	closedir(dir);
	if (a->mailbox_fd < 0)
		errno = ENODEV;
	return a->mailbox_fd < 0 ? -1 : 0;
}

int open_mailbox(struct agent *a)
{
	int tries = 50;

	/* It is plugged in when the agent first answers, and seen a little later. */
	while (find_mailbox(a) < 0) {
		if (errno != ENODEV || --tries == 0)
			return -1;
		usleep(100000);
	}
	return 0;
}

int copy_from_mailbox(struct agent *a, int fd, uint32_t len)
{
	off_t at = 0;

	if (len > MAILBOX_BYTES) {
		errno = EFBIG;
		return -1;
	}
	if (open_mailbox(a) < 0)
		return -1;
	while (len) {
		ssize_t n = pread(a->mailbox_fd, buffer, CHUNK, at);
		if (n <= 0)
			return -1;
		if ((uint32_t)n > len)
			n = (ssize_t)len;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(fd, buffer + done, (size_t)(n - done));
			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0)
				return -1;
			done += w;
		}
		at += n;
		len -= (uint32_t)n;
	}
	return 0;
}

static void close_file(struct agent *a)
{
	if (a->file_fd >= 0)
		close(a->file_fd);
	a->file_fd = -1;
}

void answer_put_open(struct agent *a, const struct frame *f)
{
	const unsigned char *p = f->data, *end = f->data + f->len_bytes;
	uint32_t mode = 0;

	close_file(a);
	errno = EPROTO;
	const char *path = next_u32(&p, end, &mode) ? NULL : next_string(&p, end);
	if (path)
		a->file_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (a->file_fd < 0 || fchmod(a->file_fd, mode) < 0)
		send_errno(a, f->tag, path ? path : "put");
	else
		send_ok(a, f->tag, "open");
}

void answer_put_data(struct agent *a, const struct frame *f)
{
	const unsigned char *p = f->data;
	uint32_t len;

	errno = EPROTO;
	if (next_u32(&p, p + f->len_bytes, &len) ||
	    copy_from_mailbox(a, a->file_fd, len) < 0)
		send_errno(a, f->tag, "write");
	else
		send_ok(a, f->tag, "written");
}

void answer_get_open(struct agent *a, const struct frame *f)
{
	const unsigned char *p = f->data;
	const char *path = next_string(&p, f->data + f->len_bytes);

	close_file(a);
	errno = EPROTO;
	if (path)
		a->file_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	/* Not every file system knows O_NOATIME. */
	if (path && a->file_fd < 0 && errno != ENOENT)
		a->file_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (a->file_fd < 0)
		send_errno(a, f->tag, path ? path : "get");
	else
		send_ok(a, f->tag, "open");
}

void answer_get_data(struct agent *a, const struct frame *f)
{
	uint32_t total = 0;

	if (open_mailbox(a) < 0) {
		send_errno(a, f->tag, "mailbox");
		return;
	}
	while (total < MAILBOX_BYTES) {
		size_t have = 0;
		ssize_t n = 0;

		while (have < CHUNK &&
		       (n = read(a->file_fd, buffer + have, CHUNK - have)) > 0)
			have += (size_t)n;
		if (n < 0) {
			send_errno(a, f->tag, "read");
			return;
		}
		if (!have)
			break;
		size_t blocks = (have + BLOCK - 1) / BLOCK * BLOCK;
		if (pwrite(a->mailbox_fd, buffer, blocks, total) != (ssize_t)blocks) {
			send_errno(a, f->tag, "mailbox");
			return;
		}
		total += (uint32_t)have;
		if (have < CHUNK)
			break;
	}
	send_frame(a, F_OK, f->tag, &total, sizeof(total));
}

void answer_close(struct agent *a, const struct frame *f)
{
	int rc = close(a->file_fd);

	a->file_fd = -1;
	if (rc < 0)
		send_errno(a, f->tag, "close");
	else
		send_ok(a, f->tag, "closed");
}
