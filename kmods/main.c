/* kmods: LiME modules from kernel packages, on the build machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/build_command.h"
#include "kmods/catalogue.h"
#include "kmods/commands.h"
#include "kmods/file.h"
#include "kmods/lock.h"
#include "kmods/obtain.h"
#include "kmods/options.h"
#include "kmods/tree.h"
#include "kmods/trees.h"
#include "kmods/unpack.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"

static const char usage[] =
	"usage: kmods COMMAND ...   (build, boot-test, resolve, fetch, sign, verify, add,\n"
	"             export, import, need: below)\n"
	"       kmods unpack --into DIR [--lock FILE | --sha256 HEX] PACKAGE...\n"
	"       kmods show DIR | CATALOGUE.json\n"
	"       kmods [COMMAND] --help | --version\n"
	"\n"
	"unpack unpacks Debian packages, rpms or tar archives, writing nothing outside DIR, and\n"
	"prints the SHA-256 of each.\n"
	"  --lock FILE       refuse what is not a package of this lock file\n"
	"  --sha256 HEX      refuse the one package when it is another\n"
	"show prints a catalogue as a table.\n";

static int unpack_one(int dirfd, const char *path, const struct lock *lock,
		      const char *sha256, struct err *err)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	const struct lock_package *locked = lock ? lock_find(lock, file) : NULL;
	char hex[SHA256_HEX_SIZE], *data;
	size_t len;
	int rc;

	if (lock && !locked)
		return err_set(err, ERR_NO, "%s is not in the lock file", file);
	if (locked)
		sha256 = locked->package.sha256;
	if (package_load(path, sha256, locked ? locked->size_bytes : 0, &data, &len,
			 err) < 0)
		return -1;
	file_digest(data, len, hex);
	rc = unpack_package(data, len, file, dirfd, err);
	free(data);
	if (rc == 0) {
		printf("%s  ", hex);
		cli_put_text(stdout, file);
		putchar('\n');
	}
	return rc;
}

static int command_unpack(int argc, char **argv, struct err *err)
{
	const char *into = NULL, *lock_path = NULL, *sha256 = NULL;
	const struct kmods_option options[] = {
		{ "into", &into, NULL },
		{ "lock", &lock_path, NULL },
		{ "sha256", &sha256, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), fd = -1, rc = -1;
	struct lock lock = { 0 };
	uint8_t digest[SHA256_LEN];

	if (first < 0)
		return ERR_USAGE;
	if (!into)
		return bad_usage("unpack needs --", "into");
	if (first == argc)
		return bad_usage("no package is named", "");
	if (sha256 && (lock_path || argc - first != 1))
		return bad_usage("--sha256 is for one package and without --lock", "");
	if (sha256 && (strlen(sha256) != 64 || !sha256_from_hex(sha256, digest)))
		return bad_usage("not a SHA-256: ", sha256);
	if (lock_path && lock_read(lock_path, &lock, err) < 0)
		goto out;
	fd = tree_open(into, err);
	if (fd < 0)
		goto out;
	rc = 0;
	for (int i = first; rc == 0 && i < argc; i++)
		rc = unpack_one(fd, argv[i], lock_path ? &lock : NULL, sha256, err);
	if (rc == 0)
		rc = io_close_stdout(err);
out:
	io_close(&fd);
	lock_free(&lock);
	return rc < 0 ? err_report(err, PROGRAM) : 0;
}

/* A catalogue by its own name or its directory's, which the other commands take. */
static int read_catalogue(const char *path, struct catalogue *cat, size_t *left_out,
			  struct err *err)
{
	struct stat st;
	size_t len;
	char *text;
	int dirfd = AT_FDCWD, rc;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "opening %s", path);
	if (S_ISDIR(st.st_mode)) {
		dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirfd < 0)
			return err_sys(err, errno, "opening %s", path);
	}
	rc = file_read(dirfd, dirfd < 0 ? path : CATALOGUE_FILE, CATALOGUE_BYTES_MAX,
		       &text, &len, err);
	if (rc == 0) {
		rc = catalogue_parse(text, len, cat, left_out, err);
		free(text);
		if (rc < 0)
			err_prefix(err, "%s", path);
	} else if (dirfd >= 0) {
		err_prefix(err, "%s", path);
	}
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static int command_show(int argc, char **argv, struct err *err)
{
	const struct kmods_option options[] = { { NULL, NULL, NULL } };
	int first = read_options(argc, argv, options), rc;
	struct catalogue cat = { 0 };
	size_t left_out = 0;

	if (first < 0)
		return ERR_USAGE;
	if (argc - first != 1)
		return bad_usage("show wants one catalogue", "");
	rc = read_catalogue(argv[first], &cat, &left_out, err);
	if (rc == 0)
		printf("%-8s %-32s %9s %-8s %-6s %-6s %s\n", "arch", "release", "bytes",
		       "lime", "locked", "tested", "sha256");
	for (size_t i = 0; rc == 0 && i < cat.count; i++) {
		const struct module *m = &cat.modules[i];

		printf("%-8s %-32s %9llu %-8s %-6s %-6s %s\n", m->arch, m->release,
		       (unsigned long long)m->size_bytes, m->lime_version,
		       m->locked ? "yes" : "no", m->tested ? "yes" : "no", m->sha256);
	}
	catalogue_free(&cat);
	if (rc == 0)
		rc = io_close_stdout(err);
	if (rc == 0 && left_out > 0)
		rc = err_set(err, ERR_GAPS,
			     "%s: %zu entries that are not as kmods writes them are not "
			     "shown",
			     argv[first], left_out);
	return rc < 0 ? err_report(err, PROGRAM) : 0;
}

static int print(const char *text)
{
	struct err err = { 0 };

	fputs(text, stdout);
	return io_close_stdout(&err) < 0 ? err_report(&err, PROGRAM) : 0;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The part of the usage that has the command, or NULL. */
static const char *usage_of(const char *command)
{
	static const struct {
		const char *text, *commands;
	} parts[] = {
		{ usage, " unpack show " },
		{ build_usage, " build boot-test " },
		{ obtain_usage, " resolve fetch " },
		{ commands_usage, " sign verify add export import need " },
	};
	char word[32];

	snprintf(word, sizeof(word), " %s ", command);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strstr(parts[i].commands, word))
			return parts[i].text + (parts[i].text[0] == '\n');
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int code;

	/* What is written must not depend on who builds. */
	umask(022);
	if (argc < 2)
		return bad_usage("no command is given", "");
	if (is_help(argv[1]))
		return fputs(usage, stdout) < 0 || fputs(build_usage, stdout) < 0 ||
				       fputs(obtain_usage, stdout) < 0
			       ? ERR_FAILED
			       : print(commands_usage);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return print(PROGRAM " (fvol) " FVOL_VERSION "\n");
	if (argc == 3 && is_help(argv[2]) && usage_of(argv[1]))
		return print(usage_of(argv[1]));
	if (strcmp(argv[1], "unpack") == 0)
		return command_unpack(argc - 1, argv + 1, &err);
	if (strcmp(argv[1], "show") == 0)
		return command_show(argc - 1, argv + 1, &err);
	code = build_command(argc - 1, argv + 1);
	if (code < 0)
		code = obtain_command(argc - 1, argv + 1);
	if (code < 0)
		code = catalogue_command(argc - 1, argv + 1);
	return code < 0 ? bad_usage("no such command: ", argv[1]) : code;
}
