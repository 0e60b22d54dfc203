/*
 * grow: the forensic volume's file system, mounted, made as large as its disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/gone.h"
#include "toolkit/lib/growth.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/mountdev.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/volume.h"

static const char usage[] =
	"Usage: grow [--for-memory] [--json] DIR\n"
	"\n"
	"Makes the file system of the forensic volume mounted at DIR as large as the disk\n"
	"it is on, while it is mounted. Does nothing when it is that large already. Never\n"
	"shrinks, and touches no file system that is not an ext4 labelled " VOLUME_LABEL
	".\n"
	"\n"
	"  -m, --for-memory  grow no further than is needed for an image of this machine's\n"
	"                    memory: growing takes memory itself, 80 MiB for 1 TiB\n"
	"  -j, --json        end with one line of JSON on stdout\n"
	"  -h, --help        show this text\n"
	"  -V, --version     show the version\n"
	"\n"
	"Exit: 0 it is as large as its disk, or as needed; 2 usage; 4 refused by the system;\n"
	"5 failed, or grown only in part.\n";

/* The kernel's fs/ext4/ext4.h, since Linux 3.3. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

#define STATE_ERRORS 2
#define INCOMPAT_64BIT 0x80
/* Beyond it no kernel mounts. */
#define LOG_BLOCK_MAX 6

struct disk {
	int dirfd;
	int fd;
	char path[MOUNTDEV_PATH];
};

/*
 * Not past the page cache, as everything else is: the kernel keeps this block there for
 * as long as the file system is mounted, and it is newer than the one on the disk.
 */
static int read_super(const struct disk *disk, unsigned char super[EXT4_SUPER_BYTES])
{
	ssize_t n = io_pread(disk->fd, super, EXT4_SUPER_BYTES, EXT4_SUPER_OFF);

	if (n < 0)
		return errno;
	return n == EXT4_SUPER_BYTES ? 0 : EIO;
}

static uint64_t super_blocks(const unsigned char super[EXT4_SUPER_BYTES])
{
	uint64_t blocks = get_le(super + EXT4_SUPER_BLOCKS_LO, 4);

	if (get_le(super + EXT4_SUPER_INCOMPAT, 4) & INCOMPAT_64BIT)
		blocks |= get_le(super + EXT4_SUPER_BLOCKS_HI, 4) << 32;
	return blocks;
}

static int resize(void *arg, uint64_t blocks)
{
	const struct disk *disk = arg;

	return ioctl(disk->dirfd, (int)EXT4_IOC_RESIZE_FS, &blocks) < 0 ? errno : 0;
}

static int look(void *arg, uint64_t *blocks)
{
	unsigned char super[EXT4_SUPER_BYTES];
	int errnum = read_super(arg, super);

	if (!errnum)
		*blocks = super_blocks(super);
	return errnum;
}

/* Finds the disk and measures it and the file system. */
static int measure(struct disk *disk, struct growth *growth, uint64_t *disk_bytes,
		   struct err *err)
{
	unsigned char super[EXT4_SUPER_BYTES];
	uint32_t log_block;
	dev_t dev;
	int errnum;

	if (mountdev_of_mount(disk->dirfd, &dev, err) < 0)
		return -1;
	disk->fd = mountdev_open(dev, 0, disk->path, err);
	if (disk->fd < 0)
		return -1;
	errnum = read_super(disk, super);
	if (errnum)
		return err_sys(err, errnum, "reading %s", disk->path);
	if (mountdev_check_super(super, VOLUME_LABEL, disk->path, err) < 0)
		return -1;
	log_block = (uint32_t)get_le(super + EXT4_SUPER_LOG_BLOCK, 4);
	growth->group = (uint32_t)get_le(super + EXT4_SUPER_BLOCKS_PER_GROUP, 4);
	if (log_block > LOG_BLOCK_MAX || growth->group == 0)
		return err_set(err, ERR_FAILED, "%s has a damaged superblock",
			       disk->path);
	if (super[EXT4_SUPER_STATE] & STATE_ERRORS)
		return err_set(err, ERR_FAILED,
			       "%s has recorded errors: the kernel grows no such file "
			       "system",
			       disk->path);
	if (ioctl(disk->fd, (int)BLKGETSIZE64, disk_bytes) < 0)
		return err_sys(err, errno, "asking for the size of %s", disk->path);
	growth->block_bytes = 1024U << log_block;
	growth->disk = *disk_bytes / growth->block_bytes;
	growth->now = super_blocks(super);
	return 0;
}

struct outcome {
	uint64_t before_bytes, after_bytes, disk_bytes, free_bytes;
	uint64_t memory_bytes; /* 0: not asked */
};

/* Free for a file, to root, who captures. */
static int free_blocks(const struct disk *disk, uint64_t *blocks, struct err *err)
{
	struct statfs fs;

	if (fstatfs(disk->dirfd, &fs) < 0)
		return err_sys(err, errno, "asking for the free space");
	*blocks = fs.f_bfree;
	return 0;
}

/* What stands beside the image: headers, gaps, the record, the symbols. */
#define BESIDE_BYTES (256ULL * 1024 * 1024)

/* What to want for the memory: the image, and a format that makes it a little larger. */
static int want_for_memory(const struct disk *disk, struct growth *growth,
			   uint64_t *memory_bytes, struct err *err)
{
	static struct ranges ranges;
	int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t have;
	int rc;

	if (procfd < 0)
		return err_sys(err, errno, "opening /proc");
	rc = ranges_read_iomem(procfd, &ranges, err);
	io_close(&procfd);
	if (rc < 0 || free_blocks(disk, &have, err) < 0)
		return -1;
	*memory_bytes = ranges_bytes(&ranges);
	growth->want = growth_want(growth, have,
				   (*memory_bytes + *memory_bytes / 16 + BESIDE_BYTES) /
					   growth->block_bytes);
	return 0;
}

static int grow_disk(struct disk *disk, bool for_memory, struct outcome *outcome,
		     struct err *err)
{
	struct growth growth = { 0 };
	struct err unheard = { 0 };
	uint64_t have;
	int rc;

	if (measure(disk, &growth, &outcome->disk_bytes, err) < 0 ||
	    (for_memory &&
	     want_for_memory(disk, &growth, &outcome->memory_bytes, err) < 0))
		return -1;
	outcome->before_bytes = growth.now * growth.block_bytes;
	rc = growth_run(
		&growth,
		&(struct growth_kernel){ .arg = disk, .resize = resize, .look = look },
		err);
	outcome->after_bytes = growth.now * growth.block_bytes;
	/* What is reported as grown must be so after a power cut, too. */
	if (outcome->after_bytes != outcome->before_bytes && syncfs(disk->dirfd) < 0 &&
	    rc == 0)
		rc = err_sys(err, errno, "writing back");
	/* A failure to grow is the one to tell of. */
	if (free_blocks(disk, &have, rc < 0 ? &unheard : err) == 0)
		outcome->free_bytes = have * growth.block_bytes;
	else
		rc = -1;
	return rc;
}

static int grow(const char *dir, bool for_memory, struct outcome *outcome,
		struct err *err)
{
	struct disk disk = { .dirfd = -1, .fd = -1 };
	int rc;

	disk.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (disk.dirfd < 0)
		return err_sys(err, errno, "opening %s", dir);
	rc = grow_disk(&disk, for_memory, outcome, err);
	if (rc < 0)
		err_prefix(err, "%s", dir);
	io_close(&disk.fd);
	io_close(&disk.dirfd);
	return rc;
}

static int print_json(const struct outcome *outcome, bool complete, struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root;

	if (!doc)
		return err_sys(err, ENOMEM, "writing JSON");
	root = json_root(doc);
	json_add_u64(doc, root, "before_bytes", outcome->before_bytes);
	json_add_u64(doc, root, "after_bytes", outcome->after_bytes);
	json_add_u64(doc, root, "disk_bytes", outcome->disk_bytes);
	json_add_u64(doc, root, "free_bytes", outcome->free_bytes);
	if (outcome->memory_bytes)
		json_add_u64(doc, root, "memory_bytes", outcome->memory_bytes);
	json_add_bool(doc, root, "complete", complete);
	return cli_print_json(doc, err);
}

struct options {
	bool for_memory;
	bool json;
};

static int run(const char *dir, const struct options *opt)
{
	struct outcome outcome = { 0 };
	struct err err = { 0 };
	bool complete = grow(dir, opt->for_memory, &outcome, &err) == 0;
	int code = complete ? 0 : err_report(&err, "grow");

	/* Nothing was measured: there is nothing to report. */
	if (!outcome.before_bytes)
		return code;
	cli_put_text(stdout, dir);
	if (outcome.after_bytes > outcome.before_bytes)
		printf(": grown from %" PRIu64 " to %" PRIu64 " bytes%s\n",
		       outcome.before_bytes, outcome.after_bytes,
		       complete ? "" : ", and no further");
	else
		printf(": %s at %" PRIu64 " bytes\n",
		       complete ? "is large enough" : "has not grown, it stays",
		       outcome.before_bytes);
	if (opt->json && print_json(&outcome, complete, &err) < 0)
		code = err_report(&err, "grow");
	return code;
}

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {
		{ "for-memory", no_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	/* getopt speaks under this name. */
	argv[0] = "grow";
	while ((c = getopt_long(argc, argv, "mjhV", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			opt->for_memory = true;
			break;
		case 'j':
			opt->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("grow (fvol) " FVOL_VERSION);
			return 0;
		default:
			fputs("Try 'grow --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	if (argc - optind != 1)
		return cli_usage("grow", "takes one directory");
	return -1;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct options opt = { 0 };
	int code = parse(argc, argv, &opt);

	if (code < 0) {
		gone_guard("grow");
		code = run(argv[optind], &opt);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "grow");
	return code;
}
