/*
 * hash: SHA-256 of files in the form of sha256sum, checking such lists, checking a
 * mounted forensic volume against its manifest, and the chain of custody.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/hash/pool.h"
#include "toolkit/lib/catversion.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/gone.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/nvmeid.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/volume.h"

static const char usage[] =
	"Usage: hash [--output SUMS] [--recursive] [FILE...]\n"
	"       hash --check SUMS\n"
	"       hash --volume DIR --manifest-sha256 HEX [--device DISK] [--serial SERIAL]\n"
	"            [--device-name NAME] [--catalogue-least N]\n"
	"       hash --custody verify [--head HEX] LOG\n"
	"       hash --custody head LOG\n"
	"       hash --custody append --instance ID --action ACTION [--note TEXT] LOG FILE\n"
	"       hash --custody seal DIR\n"
	"       hash --chunks DIR | --chunks LOG IMAGE\n"
	"       hash --signature SIG (--key PUBLIC.pem | --keys DIR) FILE\n"
	"\n"
	"SHA-256 of files, in the form that sha256sum writes and reads. Files are read past\n"
	"the page cache. Without FILE, or for -, standard input is hashed.\n"
	"\n"
	"  -o, --output SUMS          write the list to SUMS (a new file), not to stdout\n"
	"  -c, --check SUMS           check each file that SUMS lists, names relative to the\n"
	"                             directory of SUMS\n"
	"  -q, --quiet                with --check: name only what differs\n"
	"  -r, --recursive            hash all files below a directory, too; symbolic links and\n"
	"                             devices are named and left out (exit 3)\n"
	"      --jobs N               files at a time (default: one a processor, at most 4)\n"
	"      --volume DIR           check the forensic volume mounted at DIR: device,\n"
	"                             mount options, MANIFEST, this machine's tools, scripts\n"
	"      --manifest-sha256 HEX  the MANIFEST that the volume must have\n"
	"      --device DISK          the node in /dev of the disk that must be mounted\n"
	"      --serial SERIAL        the serial that the disk under it must have\n"
	"      --device-name NAME     what it must have been attached as, /dev/sdf or the like,\n"
	"                             where the disk tells (NVMe of EBS)\n"
	"      --catalogue-least N    the least version that its catalogue of modules may have\n"
	"      --custody verify       check the chain of LOG (custody.jsonl), print its head\n"
	"      --head HEX             a head kept elsewhere, which a line must have\n"
	"      --custody head         check the chain and print its head alone\n"
	"      --custody append       hash FILE, named relative to LOG's directory, add a line\n"
	"                             to LOG, print the new head\n"
	"      --instance ID, --action ACTION, --note TEXT   what the line says\n"
	"      --custody seal         seal each DIR/INSTANCE/TIME by its SHA256SUMS, print\n"
	"                             their heads\n"
	"      --chunks DIR           hold the lime or raw image in DIR against memory.chunks,\n"
	"                             say where it is damaged; or LOG and IMAGE by name\n"
	"      --signature SIG        check FILE's signature (ECDSA P-256, DER) by a key or by\n"
	"                             the trusted keys of a directory\n"
	"  -h, --help                 show this text\n"
	"  -V, --version              show the version\n"
	"\n"
	"Exit: 0 done and all equal; 1 something differs or is missing; 2 usage; 3 something\n"
	"was left out, or lines of a chain of custody that holds were torn; 4 refused by the\n"
	"system; 5 failed (nothing can be said of at least one file).\n";

static int do_volume(const struct options *opt)
{
	struct utsname uts;
	struct err err = { 0 };
	struct volume_seen seen = { 0 };

	if (uname(&uts) < 0) {
		err_sys(&err, errno, "asking for the architecture");
		return err_report(&err, "hash");
	}
	if (volume_check(opt->volume,
			 &(struct volume_expect){ .manifest_sha256 = opt->manifest_sha256,
						  .device = opt->device,
						  .serial = opt->serial,
						  .device_name = opt->device_name,
						  .catalogue_least = opt->least,
						  .arch = uts.machine },
			 &seen, &err) < 0)
		return err_report(&err, "hash");
	printf("%s: device, mount and %zu files of %s OK\n", opt->volume, seen.files,
	       uts.machine);
	if (opt->device_name && !seen.name_shown)
		printf("%s: the disk does not tell what it was attached as\n",
		       opt->volume);
	return 0;
}

enum {
	OPT_VOLUME = 256,
	OPT_MANIFEST,
	OPT_SERIAL,
	OPT_DEVICE,
	OPT_DEVICE_NAME,
	OPT_LEAST,
	OPT_CUSTODY,
	OPT_HEAD,
	OPT_INSTANCE,
	OPT_ACTION,
	OPT_NOTE,
	OPT_SIGNATURE,
	OPT_KEY,
	OPT_KEYS,
	OPT_CHUNKS,
	OPT_JOBS,
};

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "check", required_argument, NULL, 'c' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "recursive", no_argument, NULL, 'r' },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "volume", required_argument, NULL, OPT_VOLUME },
	{ "manifest-sha256", required_argument, NULL, OPT_MANIFEST },
	{ "serial", required_argument, NULL, OPT_SERIAL },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "device-name", required_argument, NULL, OPT_DEVICE_NAME },
	{ "catalogue-least", required_argument, NULL, OPT_LEAST },
	{ "custody", required_argument, NULL, OPT_CUSTODY },
	{ "head", required_argument, NULL, OPT_HEAD },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "action", required_argument, NULL, OPT_ACTION },
	{ "note", required_argument, NULL, OPT_NOTE },
	{ "signature", required_argument, NULL, OPT_SIGNATURE },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "chunks", required_argument, NULL, OPT_CHUNKS },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* Where an option's text goes, or NULL when it takes none. */
static const char **slot_of(struct options *opt, int c)
{
	switch (c) {
	case 'o':
		return &opt->output;
	case 'c':
		return &opt->check;
	case OPT_VOLUME:
		return &opt->volume;
	case OPT_MANIFEST:
		return &opt->manifest_sha256;
	case OPT_SERIAL:
		return &opt->serial;
	case OPT_DEVICE:
		return &opt->device;
	case OPT_DEVICE_NAME:
		return &opt->device_name;
	case OPT_LEAST:
		return &opt->catalogue_least;
	case OPT_CUSTODY:
		return &opt->custody;
	case OPT_HEAD:
		return &opt->head;
	case OPT_INSTANCE:
		return &opt->instance;
	case OPT_ACTION:
		return &opt->action;
	case OPT_NOTE:
		return &opt->note;
	case OPT_SIGNATURE:
		return &opt->signature;
	case OPT_KEY:
		return &opt->key;
	case OPT_KEYS:
		return &opt->keys;
	case OPT_CHUNKS:
		return &opt->chunks;
	case OPT_JOBS:
		return &opt->jobs;
	default:
		return NULL;
	}
}

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *opt)
{
	int c, bad = 0;

	/* getopt speaks under this name. */
	argv[0] = "hash";
	while (!bad &&
	       (c = getopt_long(argc, argv, "o:c:qrhV", long_options, NULL)) != -1) {
		const char **slot = slot_of(opt, c);

		if (slot) {
			bad = cli_take_once("hash", slot, long_options, c);
		} else if (c == 'q') {
			opt->quiet = true;
		} else if (c == 'r') {
			opt->recursive = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (c == 'V') {
			puts("hash (fvol) " FVOL_VERSION);
			return 0;
		} else {
			fputs("Try 'hash --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	return bad ? bad : -1;
}

/* Sets how many files are hashed at a time. Returns false for what is no number. */
static bool set_threads(struct options *opt)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long value;
	char *end;

	opt->threads = processors < 1 ? 1 : processors > 4 ? 4 : (unsigned)processors;
	if (!opt->jobs)
		return true;
	value = strtoul(opt->jobs, &end, 10);
	opt->threads = (unsigned)value;
	return opt->jobs[0] >= '0' && opt->jobs[0] <= '9' && !*end && value &&
	       value <= POOL_THREADS_MAX;
}

/* Says what is wrong with the combination, or NULL. */
static const char *contradiction(struct options *opt, int files)
{
	uint8_t digest[SHA256_LEN];
	char name[NVMEID_NAME_MAX + 1];
	int modes = !!opt->output + !!opt->check + !!opt->volume + !!opt->custody +
		    !!opt->signature + !!opt->chunks;
	const char *why;

	if (modes > 1)
		return "--output, --check, --volume, --custody, --signature and --chunks "
		       "exclude each other";
	if (!set_threads(opt))
		return "--jobs takes 1 to 16";
	if ((opt->recursive && modes > !!opt->output) || (opt->recursive && !files))
		return "--recursive needs files and goes with --output alone";
	if (opt->jobs && modes > !!opt->output + !!opt->check)
		return "--jobs belongs to lists";
	if (opt->chunks && files > 1)
		return "--chunks takes one image";
	if ((opt->check || opt->volume) && files)
		return "--check and --volume take no further argument";
	if (opt->volume && !opt->manifest_sha256)
		return "--volume needs --manifest-sha256";
	if (opt->volume && (!sha256_from_hex(opt->manifest_sha256, digest) ||
			    opt->manifest_sha256[2 * SHA256_LEN]))
		return "--manifest-sha256 takes 64 hex digits";
	if (!opt->volume && (opt->manifest_sha256 || opt->serial || opt->device ||
			     opt->device_name || opt->catalogue_least))
		return "--manifest-sha256, --device, --serial, --device-name and "
		       "--catalogue-least belong to --volume";
	if (opt->device_name &&
	    !nvmeid_normal_name(opt->device_name, strlen(opt->device_name), name))
		return "--device-name takes a name such as /dev/sdf or xvdf";
	if (opt->catalogue_least && !catversion_parse(opt->catalogue_least, &opt->least))
		return "--catalogue-least takes a number";
	if (opt->quiet && !opt->check)
		return "--quiet belongs to --check";
	why = custody_contradiction(opt, files);
	return why ? why : signature_contradiction(opt, files);
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
		gone_guard("hash");
		if (opt.check)
			code = do_check(&opt);
		else if (opt.volume)
			code = do_volume(&opt);
		else if (opt.custody)
			code = do_custody(&opt, argv + optind);
		else if (opt.signature)
			code = do_signature(&opt, argv[optind]);
		else if (opt.chunks)
			code = do_chunks(&opt, argv[optind]);
		else
			code = do_hash(&opt, argv + optind, argc - optind);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "hash");
	return code;
}
