/*
 * Frames between vmctl on the host and the agent in a guest, over a byte stream that can
 * lose its other end at any moment.
 *
 * The stream is an emulated serial port: vmctl connects for one command and goes away,
 * perhaps in the middle of a frame, and the guest may answer a question that nobody waits
 * for any more. So each frame starts with a magic number, carries checksums of its header
 * and of its data, and a tag chosen by the asker; a reader finds its way back to the next
 * whole frame and ignores tags that are not its own.
 */
#ifndef FVOL_VM_FRAME_H
#define FVOL_VM_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* Longest data of one frame in bytes. */
#define FRAME_MAX 65536
#define FRAME_HEADER 32
/*
 * Bulk data does not go over the serial port (40 KB/s into the guest) but through a disk
 * that both ends read and write at its start: the mailbox, an NVMe disk with this serial.
 * The guest uses O_DIRECT, so a transfer leaves nothing of itself in its page cache.
 */
#define MAILBOX_SERIAL "mailbox"
#define MAILBOX_BYTES (8u << 20)

enum frame_type {
	/* host to guest */
	F_HELLO = 1, /* answered with F_OK, data: "RELEASE MACHINE" */
	F_PUT_OPEN,  /* u32 mode, path NUL: F_OK */
	F_PUT_DATA,  /* u32 bytes of the mailbox are the file's next: F_OK */
	F_GET_OPEN,  /* path NUL: F_OK */
	F_GET_DATA,  /* F_OK, data: u32 bytes that now stand in the mailbox, 0 = end */
	F_CLOSE,     /* F_OK once the file is closed */
	F_RUN,	  /* u32 timeout_ms, argc, envc; strings cwd, argv, env: output, F_EXIT */
	F_STEP,	  /* as F_RUN; argv = instance, command, step, region; then u32 bytes
		     of the mailbox are the script */
	F_INSMOD, /* u32 timeout_ms, path NUL, parameters NUL: F_EXIT */
	F_RMMOD,  /* u32 timeout_ms, name NUL: F_EXIT */
	F_SYNC,	  /* F_OK once every dirty block of / stands at its final place */
	F_PS,	  /* F_STDOUT lines "pid ppid comm exe", F_OK */
	F_PLANT,  /* u32 pages: F_STDOUT bytes (u64 physical, 4096 bytes)..., F_OK: pid */
	F_LITTER, /* u32 pages of marked memory, freed again: F_OK */
	F_POWEROFF, /* F_OK, then the guest is gone */
	/* guest to host */
	F_OK = 64,
	F_ERROR, /* data: a sentence */
	F_STDOUT,
	F_STDERR,
	F_EXIT, /* struct frame_exit */
};

enum exit_kind { EXIT_CODE, EXIT_SIGNAL, EXIT_TIMEOUT };

struct frame_exit {
	uint32_t kind;
	uint32_t value;
};

struct frame {
	uint32_t type;
	uint32_t len_bytes;
	uint64_t tag;
	const unsigned char *data; /* inside the reader, valid until the next read */
};

struct frame_reader {
	int fd;
	size_t have;	 /* bytes in buf */
	size_t used;	 /* bytes of buf that the last returned frame occupied */
	int64_t last_ms; /* when the last bytes came */
	unsigned char buf[FRAME_HEADER + FRAME_MAX];
};

/* Milliseconds of a clock that nobody sets. */
int64_t clock_ms(void);

void frame_reader_init(struct frame_reader *r, int fd);

/*
 * Takes what is there without waiting for more. Returns 1 and fills *f, 0 when no whole
 * frame is there yet, -1 at the end of the stream or on an error (errno, 0 = end).
 */
int frame_poll(struct frame_reader *r, struct frame *f);

/*
 * Waits for a frame until the clock reads deadline_ms. Returns as frame_poll; 0 is the
 * deadline.
 */
int frame_read(struct frame_reader *r, struct frame *f, int64_t deadline_ms);

/* Writes one frame, waiting for room until deadline_ms. Returns 0, or -1 with errno. */
int frame_write(int fd, uint32_t type, uint64_t tag, const void *data, size_t len,
		int64_t deadline_ms);

#endif
