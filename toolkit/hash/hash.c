/*
 * hash: SHA-256 of files in the form of sha256sum, checking such lists, and checking a
 * mounted forensic volume against its manifest.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/sums.h"
#include "toolkit/lib/volume.h"

static const char usage[] =
	"Usage: hash [--output SUMS] [FILE...]\n"
	"       hash --check SUMS\n"
	"       hash --volume DIR --manifest-sha256 HEX [--serial SERIAL]\n"
	"\n"
	"SHA-256 of files, in the form that sha256sum writes and reads. Files are read past\n"
	"the page cache. Without FILE, or for -, standard input is hashed.\n"
	"\n"
	"  -o, --output SUMS          write the list to SUMS (a new file), not to stdout\n"
	"  -c, --check SUMS           check each file that SUMS lists, names relative to the\n"
	"                             directory of SUMS\n"
	"  -q, --quiet                with --check: name only what differs\n"
	"      --volume DIR           check the forensic volume mounted at DIR: device,\n"
	"                             mount options, MANIFEST, this machine's tools, scripts\n"
	"      --manifest-sha256 HEX  the MANIFEST that the volume must have\n"
	"      --serial SERIAL        the serial that the disk under it must have\n"
	"  -h, --help                 show this text\n"
	"  -V, --version              show the version\n"
	"\n"
	"Exit: 0 done and all equal; 1 something differs or is missing; 2 usage; 4 refused by\n"
	"the system; 5 failed (nothing can be said of at least one file).\n";

struct options {
	const char *output;
	const char *check;
	const char *volume;
	const char *manifest_sha256;
	const char *serial;
	bool quiet;
};

/* Text that grows; hash writes its list in one go, so that no half list has the name. */
struct text {
	char *data;
	size_t len, size;
};

static int text_add(struct text *text, const char *line, size_t len, struct err *err)
{
	if (text->len + len > text->size) {
		size_t size = 2 * (text->len + len);
		char *data = realloc(text->data, size);

		if (!data)
			return err_sys(err, ENOMEM, "listing files");
		text->data = data;
		text->size = size;
	}
	memcpy(text->data + text->len, line, len);
	text->len += len;
	return 0;
}

/* Only what a file fills of it is ever in memory. */
static _Alignas(IO_BLOCK) unsigned char buf[IO_CHUNK_BYTES];

static int hash_file(const char *path, uint8_t digest[SHA256_LEN], struct err *err)
{
	int fd, rc;

	if (strcmp(path, "-") == 0) {
		if (sums_hash_fd(STDIN_FILENO, buf, sizeof(buf), digest, err) < 0)
			return err_prefix(err, "standard input");
		return 0;
	}
	fd = io_open_direct(AT_FDCWD, path, true, err);
	if (fd < 0)
		return -1;
	rc = sums_hash_fd(fd, buf, sizeof(buf), digest, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/* Writes text as the new file path. */
static int write_list(const char *path, const struct text *text, struct err *err)
{
	char *copy_dir = strdup(path), *copy_base = strdup(path);
	int dirfd = -1, rc = -1;

	if (!copy_dir || !copy_base) {
		err_sys(err, ENOMEM, "writing %s", path);
		goto out;
	}
	dirfd = open(dirname(copy_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		err_sys(err, errno, "opening the directory of %s", path);
	else
		rc = sink_write_file(dirfd, basename(copy_base), text->data, text->len,
				     false, err);
out:
	io_close(&dirfd);
	free(copy_dir);
	free(copy_base);
	return rc;
}

/* A file that cannot be read does not keep the others from being hashed. */
static int do_hash(const struct options *opt, char **files, int count)
{
	static char line[SUMS_LINE_MAX];
	static char *const standard_input[] = { "-" };
	struct text text = { 0 };
	struct err err = { 0 };
	int code = 0;

	if (!count) {
		files = (char **)standard_input;
		count = 1;
	}
	for (int i = 0; i < count; i++) {
		uint8_t digest[SHA256_LEN];
		size_t len;

		if (strlen(files[i]) >= PATH_MAX)
			err_set(&err, ERR_USAGE, "a name is longer than %d bytes",
				PATH_MAX - 1);
		else if (hash_file(files[i], digest, &err) == 0) {
			len = sums_format(digest, files[i], line);
			if (!opt->output)
				fwrite(line, 1, len, stdout);
			else if (text_add(&text, line, len, &err) < 0)
				code = err_report(&err, "hash");
			continue;
		}
		code = err_report(&err, "hash");
	}
	/* A list with holes is not written: it would pass for the whole. */
	if (opt->output && !code && write_list(opt->output, &text, &err) < 0)
		code = err_report(&err, "hash");
	free(text.data);
	return code;
}

struct tally {
	size_t equal, differ, failed;
};

static void check_entry(int dirfd, const struct sums_entry *entry, bool quiet,
			struct tally *tally)
{
	uint8_t digest[SHA256_LEN];
	struct err err = { 0 };
	int fd, rc;

	if (faccessat(dirfd, entry->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT) {
		err_set(&err, ERR_NO, "%s: missing", entry->name);
		err_report(&err, "hash");
		tally->differ++;
		return;
	}
	fd = io_open_direct(dirfd, entry->name, false, &err);
	rc = fd < 0 ? -1 : sums_hash_fd(fd, buf, sizeof(buf), digest, &err);
	if (rc < 0) {
		if (fd >= 0)
			err_prefix(&err, "%s", entry->name);
		err_report(&err, "hash");
		tally->failed++;
	} else if (memcmp(digest, entry->digest, sizeof(digest)) != 0) {
		err_set(&err, ERR_NO, "%s: differs", entry->name);
		err_report(&err, "hash");
		tally->differ++;
	} else {
		tally->equal++;
		if (!quiet) {
			cli_put_text(stdout, entry->name);
			puts(": OK");
		}
	}
	io_close(&fd);
}

#define SUMS_MAX (64 * 1024 * 1024)

static int check_list(int dirfd, const char *text, size_t len_bytes, bool quiet,
		      struct tally *tally, struct err *err)
{
	static struct sums_entry entry;
	size_t pos = 0, line = 0;
	int more;

	while ((more = sums_next(text, len_bytes, &pos, &line, &entry, err)) > 0)
		check_entry(dirfd, &entry, quiet, tally);
	if (more == 0 && !tally->equal && !tally->differ && !tally->failed)
		return err_set(err, ERR_FAILED, "lists no file");
	return more;
}

static int do_check(const struct options *opt)
{
	char *copy = strdup(opt->check), *text = NULL;
	struct tally tally = { 0 };
	struct err err = { 0 };
	int dirfd = -1, fd = -1, rc = -1;
	size_t len_bytes;

	fd = io_open_direct(AT_FDCWD, opt->check, true, &err);
	if (fd < 0)
		goto out;
	if (!copy ||
	    (dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		err_sys(&err, errno, "opening the directory of %s", opt->check);
		goto out;
	}
	text = io_read_direct(fd, SUMS_MAX, &len_bytes, &err);
	if (!text || check_list(dirfd, text, len_bytes, opt->quiet, &tally, &err) < 0) {
		err_prefix(&err, "%s", opt->check);
		goto out;
	}
	rc = 0;
out:
	free(text);
	free(copy);
	io_close(&fd);
	io_close(&dirfd);
	if (rc < 0)
		return err_report(&err, "hash");
	return tally.failed ? ERR_FAILED : tally.differ ? ERR_NO : 0;
}

static int do_volume(const struct options *opt)
{
	struct utsname uts;
	struct err err = { 0 };
	size_t files;

	if (uname(&uts) < 0) {
		err_sys(&err, errno, "asking for the architecture");
		return err_report(&err, "hash");
	}
	if (volume_check(opt->volume,
			 &(struct volume_expect){ .manifest_sha256 = opt->manifest_sha256,
						  .serial = opt->serial,
						  .arch = uts.machine },
			 &files, &err) < 0)
		return err_report(&err, "hash");
	printf("%s: device, mount and %zu files of %s OK\n", opt->volume, files,
	       uts.machine);
	return 0;
}

enum { OPT_VOLUME = 256, OPT_MANIFEST, OPT_SERIAL };

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "check", required_argument, NULL, 'c' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "volume", required_argument, NULL, OPT_VOLUME },
		{ "manifest-sha256", required_argument, NULL, OPT_MANIFEST },
		{ "serial", required_argument, NULL, OPT_SERIAL },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c, bad = 0;

	/* getopt speaks under this name. */
	argv[0] = "hash";
	while (!bad && (c = getopt_long(argc, argv, "o:c:qhV", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			bad = cli_set_once("hash", &opt->output, "output");
			break;
		case 'c':
			bad = cli_set_once("hash", &opt->check, "check");
			break;
		case 'q':
			opt->quiet = true;
			break;
		case OPT_VOLUME:
			bad = cli_set_once("hash", &opt->volume, "volume");
			break;
		case OPT_MANIFEST:
			bad = cli_set_once("hash", &opt->manifest_sha256,
					   "manifest-sha256");
			break;
		case OPT_SERIAL:
			bad = cli_set_once("hash", &opt->serial, "serial");
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("hash (fvol) " FVOL_VERSION);
			return 0;
		default:
			fputs("Try 'hash --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	return bad ? bad : -1;
}

/* Says what is wrong with the combination, or NULL. */
static const char *contradiction(const struct options *opt, int files)
{
	uint8_t digest[SHA256_LEN];
	int modes = !!opt->output + !!opt->check + !!opt->volume;

	if (modes > 1)
		return "--output, --check and --volume exclude each other";
	if ((opt->check || opt->volume) && files)
		return "--check and --volume take no further argument";
	if (opt->volume && !opt->manifest_sha256)
		return "--volume needs --manifest-sha256";
	if (opt->volume && (!sha256_from_hex(opt->manifest_sha256, digest) ||
			    opt->manifest_sha256[2 * SHA256_LEN]))
		return "--manifest-sha256 takes 64 hex digits";
	if (!opt->volume && (opt->manifest_sha256 || opt->serial))
		return "--manifest-sha256 and --serial belong to --volume";
	if (opt->quiet && !opt->check)
		return "--quiet belongs to --check";
	return NULL;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct err err = { 0 };
	const char *why;
	int code = parse(argc, argv, &opt);

	if (code < 0) {
		why = contradiction(&opt, argc - optind);
		if (why)
			return cli_usage("hash", why);
		if (opt.check)
			code = do_check(&opt);
		else if (opt.volume)
			code = do_volume(&opt);
		else
			code = do_hash(&opt, argv + optind, argc - optind);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "hash");
	return code;
}
