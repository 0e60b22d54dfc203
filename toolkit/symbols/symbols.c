/*
 * symbols: a symbol file for Volatility 3 from a kernel package, a kernel, the bundle of
 * a capture, or a memory image alone.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/symbols/symbols.h"

static const char usage[] =
	"Usage: symbols --from-package PACKAGE [OPTIONS] --output FILE\n"
	"       symbols --vmlinux KERNEL [OPTIONS] --output FILE\n"
	"       symbols --bundle ARCHIVE [OPTIONS] --output FILE\n"
	"       symbols --dump IMAGE [--format FORMAT] [OPTIONS] --output FILE\n"
	"       symbols --check FILE [--json]\n"
	"\n"
	"Writes a symbol file for Volatility 3 (ISF 6.2.0), packed as .xz: the types of the\n"
	"kernel from its BTF, its symbols from its kallsyms, with addresses as if there were\n"
	"no KASLR.\n"
	"\n"
	"  -p, --from-package PACKAGE  a deb or rpm with the kernel in it\n"
	"  -k, --vmlinux KERNEL        vmlinuz (bzImage, Image, zboot) or vmlinux\n"
	"  -b, --bundle ARCHIVE        symbols.tar that capture wrote, or the directory in it\n"
	"  -d, --dump IMAGE            a memory image, and nothing else\n"
	"  -f, --format FORMAT         of IMAGE, when its first bytes do not tell: raw\n"
	"      --system-map FILE       symbols from a System.map\n"
	"      --types-module FILE     types from a module with debugging information, through\n"
	"                              the program pahole: for kernels without BTF\n"
	"  -o, --output FILE           where to write, a file that is replaced; -: stdout\n"
	"  -a, --all                   every type and symbol, not those that analysis uses\n"
	"      --plain                 do not pack it\n"
	"      --check FILE            is FILE a symbol file that Volatility takes?\n"
	"  -j, --json                  end with one line of JSON on stdout\n"
	"  -h, --help                  show this text\n"
	"  -V, --version               show the version\n"
	"\n"
	"Exit: 0 done; 1 --check says no; 2 usage; 3 written, but symbols that plugins need\n"
	"are not in the kernel's table, and named; 4 refused by the system; 5 failed, and FILE\n"
	"is as it was.\n";

enum {
	OPT_SYSTEM_MAP = 256,
	OPT_TYPES_MODULE,
	OPT_PLAIN,
	OPT_CHECK,
};

static const struct option long_options[] = {
	{ "from-package", required_argument, NULL, 'p' },
	{ "vmlinux", required_argument, NULL, 'k' },
	{ "bundle", required_argument, NULL, 'b' },
	{ "dump", required_argument, NULL, 'd' },
	{ "format", required_argument, NULL, 'f' },
	{ "system-map", required_argument, NULL, OPT_SYSTEM_MAP },
	{ "types-module", required_argument, NULL, OPT_TYPES_MODULE },
	{ "output", required_argument, NULL, 'o' },
	{ "all", no_argument, NULL, 'a' },
	{ "plain", no_argument, NULL, OPT_PLAIN },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* Where an option's argument goes, or NULL for one that has none. */
static const char **slot(struct options *opt, int c)
{
	switch (c) {
	case 'p':
		return &opt->package;
	case 'k':
		return &opt->vmlinux;
	case 'b':
		return &opt->bundle;
	case 'd':
		return &opt->dump;
	case 'f':
		return &opt->format;
	case 'o':
		return &opt->output;
	case OPT_SYSTEM_MAP:
		return &opt->system_map;
	case OPT_TYPES_MODULE:
		return &opt->types_module;
	case OPT_CHECK:
		return &opt->check;
	default:
		return NULL;
	}
}

/* Holds the options against each other. Returns -1, or an exit code. */
static int check_options(const struct options *opt)
{
	int sources = !!opt->package + !!opt->vmlinux + !!opt->bundle + !!opt->dump;
	bool kernel = opt->package || opt->vmlinux;

	if (sources + !!opt->check != 1)
		return cli_usage("symbols",
				 "one of --from-package, --vmlinux, --bundle, --dump and "
				 "--check is needed");
	if (opt->check && (opt->output || opt->all || opt->plain || opt->system_map ||
			   opt->types_module || opt->format))
		return cli_usage("symbols", "--check goes with --json alone");
	if (opt->check)
		return -1;
	if (!opt->output)
		return cli_usage("symbols", "--output is needed");
	if (!opt->output[0] || opt->output[strlen(opt->output) - 1] == '/')
		return cli_usage("symbols", "--output is the name of a file");
	if (opt->format && !opt->dump)
		return cli_usage("symbols", "--format is for --dump");
	if (opt->system_map && !kernel)
		return cli_usage("symbols",
				 "--system-map is for --from-package and --vmlinux");
	if (opt->json && strcmp(opt->output, "-") == 0)
		return cli_usage("symbols", "--json needs stdout for itself");
	return -1;
}

/* Returns -1 to go on, or an exit code. */
static int parse(int argc, char **argv, struct options *opt)
{
	int c, index;

	while ((c = getopt_long(argc, argv, "p:k:b:d:f:o:ajhV", long_options, &index)) !=
	       -1) {
		const char **value = slot(opt, c);
		const char *name = "option";

		for (const struct option *o = long_options; o->name; o++)
			if (o->val == c)
				name = o->name;
		if (value && cli_set_once("symbols", value, name))
			return ERR_USAGE;
		if (value)
			continue;
		switch (c) {
		case 'a':
			opt->all = true;
			break;
		case 'j':
			opt->json = true;
			break;
		case OPT_PLAIN:
			opt->plain = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("symbols (fvol) " FVOL_VERSION);
			return 0;
		default:
			fputs("Try 'symbols --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	if (optind != argc)
		return cli_usage("symbols", "files are named by options");
	return check_options(opt);
}

static const char *machine_name(uint16_t machine)
{
	return machine == EM_X86_64    ? "x86_64"
	       : machine == EM_AARCH64 ? "aarch64"
				       : "unknown";
}

static int print_json(const struct options *opt, const struct symbolfile_parts *parts,
		      const struct symbolfile_report *report, struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root, *missing;

	if (!doc)
		return err_sys(err, ENOMEM, "describing the file");
	root = json_root(doc);
	json_add_str(doc, root, "file", opt->output);
	json_add_str(doc, root, "release", report->release);
	json_add_str(doc, root, "machine", machine_name(report->machine));
	json_add_str(doc, root, "build_id", report->build_id);
	json_add_str(doc, root, "banner", report->banner);
	json_add_u64(doc, root, "kaslr_shift", parts->kaslr_shift);
	json_add_u64(doc, root, "base_types", report->isf.base_types);
	json_add_u64(doc, root, "user_types", report->isf.user_types);
	json_add_u64(doc, root, "enums", report->isf.enums);
	json_add_u64(doc, root, "symbols", report->isf.symbols);
	json_add_u64(doc, root, "json_bytes", report->isf.json_bytes);
	json_add_u64(doc, root, "file_bytes", report->file_bytes);
	missing = json_add_array(doc, root, "missing");
	for (size_t i = 0; i < report->isf.missing_count; i++)
		json_add_str(doc, missing, NULL, report->isf.missing[i]);
	return cli_print_json(doc, err);
}

static int write_output(const struct options *opt, struct symbolfile_parts *parts,
			struct symbolfile_report *report, struct err *err)
{
	static char dir[PATH_MAX], base[PATH_MAX];
	int dirfd, rc;

	if (strcmp(opt->output, "-") == 0)
		return symbolfile_write_fd(parts, STDOUT_FILENO, opt->plain, report, err);
	if (strlen(opt->output) >= sizeof(dir))
		return err_set(err, ERR_USAGE, "--output: the name is too long");
	strcpy(dir, opt->output);
	strcpy(base, opt->output);
	/* Until here there is nothing to clean up. */
	interrupt_catch();
	dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, errno, "opening the directory of %.200s",
			       opt->output);
	rc = symbolfile_write(parts, dirfd, basename(base), opt->plain, report, err);
	io_close(&dirfd);
	return rc;
}

static void print_summary(const struct options *opt,
			  const struct symbolfile_report *report)
{
	if (strcmp(opt->output, "-") == 0)
		return;
	cli_put_text(stdout, opt->output);
	fputs(": ", stdout);
	cli_put_text(stdout, report->release);
	printf(": %" PRIu64 " types, %" PRIu64 " symbols, %" PRIu64 " bytes\n",
	       report->isf.base_types + report->isf.user_types + report->isf.enums,
	       report->isf.symbols, report->file_bytes);
}

static int make(const struct options *opt)
{
	static struct loaded loaded;
	struct symbolfile_report report;
	struct err err = { 0 };
	int code;

	loaded.parts.all = opt->all;
	if (load_source(opt, &loaded, &err) < 0 ||
	    write_output(opt, &loaded.parts, &report, &err) < 0) {
		loaded_free(&loaded);
		return err_report(&err, "symbols");
	}
	code = report.isf.missing_count ? ERR_GAPS : 0;
	for (size_t i = 0; i < report.isf.missing_count; i++)
		fprintf(stderr, "symbols: missing: the kernel's table has no %s\n",
			report.isf.missing[i]);
	if (!opt->json)
		print_summary(opt, &report);
	else if (print_json(opt, &loaded.parts, &report, &err) < 0)
		code = err_report(&err, "symbols");
	loaded_free(&loaded);
	return code;
}

static int check(const struct options *opt)
{
	struct check_report report = { 0 };
	struct err err = { 0 };
	struct json *doc;

	if (check_file(opt->check, &report, &err) < 0)
		return err_report(&err, "symbols");
	if (!opt->json) {
		cli_put_text(stdout, opt->check);
		printf(": %zu types, %zu symbols: ",
		       report.base_types + report.user_types + report.enums,
		       report.symbols);
		cli_put_text(stdout, report.banner);
		putchar('\n');
		return 0;
	}
	doc = json_new();
	if (!doc)
		return ERR_FAILED;
	json_add_str(doc, json_root(doc), "file", opt->check);
	json_add_str(doc, json_root(doc), "banner", report.banner);
	json_add_u64(doc, json_root(doc), "base_types", report.base_types);
	json_add_u64(doc, json_root(doc), "user_types", report.user_types);
	json_add_u64(doc, json_root(doc), "enums", report.enums);
	json_add_u64(doc, json_root(doc), "symbols", report.symbols);
	return cli_print_json(doc, &err) < 0 ? err_report(&err, "symbols") : 0;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct err err = { 0 };
	int code = parse(argc, argv, &opt);

	if (code < 0)
		code = opt.check ? check(&opt) : make(&opt);
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "symbols");
	return code;
}
