#include "kmods/build_command.h"

#include <string.h>

#include "kmods/boottest.h"
#include "kmods/build.h"
#include "kmods/jobs.h"
#include "kmods/options.h"
#include "kmods/spawn.h"
#include "toolkit/lib/catversion.h"

const char build_usage[] =
	"\n"
	"usage: kmods build --lock FILE --packages DIR --lime DIR --lime-version V\n"
	"                   --scratch DIR --out DIR [--jobs N] [--tools PATH]\n"
	"                   [--fallback-lime DIR --fallback-lime-version V]\n"
	"                   [--store DIR] [--symbols [--types DIR]]\n"
	"                   [--catalogue-version N]\n"
	"       kmods boot-test --catalogue DIR --lock FILE --packages DIR --guest DIR\n"
	"                   --scratch DIR [--store DIR] [--jobs N] [--timeout SECONDS]\n"
	"                   [--tools PATH] [RELEASE | ARCH/RELEASE]...\n"
	"\n"
	"build builds lime.ko for each kernel of a lock file and writes OUT/catalogue.json.\n"
	"  --lock FILE       the packages of each kernel (see kmods/kernels.lock)\n"
	"  --packages DIR    where they are\n"
	"  --lime DIR        LiME's *.c and *.h\n"
	"  --lime-version V  what the catalogue says they are\n"
	"  --fallback-lime DIR, --fallback-lime-version V\n"
	"                    taken for a kernel that the first does not compile for\n"
	"  --scratch DIR     where to unpack and compile; logs stay there\n"
	"  --store DIR       results by what they were made from; what is there is not\n"
	"                    built again (default SCRATCH/store)\n"
	"  --symbols         make symbols.json.xz from each kernel's image package, too\n"
	"  --types DIR       kmods/types, the source of a module: where a kernel has no BTF\n"
	"                    the types are taken from it, through the program pahole\n"
	"  --out DIR         receives ARCH/RELEASE/lime.ko and catalogue.json\n"
	"  --jobs N          processes at a time (default: one)\n"
	"  --tools PATH      where make, compilers and binutils are looked for\n"
	"                    (default " SPAWN_PATH ")\n"
	"  --catalogue-version N   the number of the catalogue (default: 1); see sign\n"
	"boot-test loads modules in emulated machines, each with that very kernel, takes a\n"
	"dump, and marks those that pass as tested; without names all of the catalogue.\n"
	"  --catalogue DIR   catalogue.json and the modules\n"
	"  --lock FILE, --packages DIR   the kernels' image packages\n"
	"  --guest DIR       ARCH/init, the guests' program (build/release/guest)\n"
	"  --scratch DIR     consoles stay there: ARCH/RELEASE.boot.log\n"
	"  --store DIR       remembers what passed (default SCRATCH/store)\n"
	"  --timeout SECONDS for one machine (default 300)\n";

static int command_build(int argc, char **argv, struct err *err)
{
	struct build_options o = { 0 };
	const char *jobs = NULL, *version = NULL;
	const struct kmods_option options[] = {
		{ "lock", &o.lock, NULL },
		{ "packages", &o.packages, NULL },
		{ "lime", &o.lime, NULL },
		{ "lime-version", &o.lime_version, NULL },
		{ "scratch", &o.scratch, NULL },
		{ "out", &o.out, NULL },
		{ "jobs", &jobs, NULL },
		{ "tools", &o.tools, NULL },
		{ "catalogue-version", &version, NULL },
		{ "store", &o.store, NULL },
		{ "symbols", NULL, &o.symbols },
		{ "types", &o.types, NULL },
		{ "fallback-lime", &o.fallback, NULL },
		{ "fallback-lime-version", &o.fallback_version, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options);

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	for (size_t i = 0; i < 6; i++) {
		if (!*options[i].value)
			return bad_usage("build needs --", options[i].name);
	}
	if (!o.fallback != !o.fallback_version)
		return bad_usage("--fallback-lime and its version go together", "");
	if (o.types && !o.symbols)
		return bad_usage("--types is for --symbols", "");
	o.jobs = jobs ? read_number(jobs, JOBS_MAX) : 1;
	if (o.jobs == 0)
		return bad_usage("not a number from 1 to 256: ", jobs);
	o.catalogue_version = 1;
	if (version && !catversion_parse(version, &o.catalogue_version))
		return bad_usage("not the number of a catalogue: ", version);
	if (!o.tools)
		o.tools = SPAWN_PATH;
	return build_modules(&o, err) < 0 ? err_report(err, PROGRAM) : 0;
}

static int command_boot_test(int argc, char **argv, struct err *err)
{
	struct boottest_options o = { .jobs = 1, .timeout_s = 300, .tools = SPAWN_PATH };
	const char *jobs = NULL, *timeout = NULL, *tools = NULL;
	const struct kmods_option options[] = {
		{ "catalogue", &o.catalogue, NULL },
		{ "lock", &o.lock, NULL },
		{ "packages", &o.packages, NULL },
		{ "guest", &o.guest, NULL },
		{ "scratch", &o.scratch, NULL },
		{ "store", &o.store, NULL },
		{ "jobs", &jobs, NULL },
		{ "timeout", &timeout, NULL },
		{ "tools", &tools, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options);

	if (first < 0)
		return ERR_USAGE;
	for (size_t i = 0; i < 5; i++) {
		if (!*options[i].value)
			return bad_usage("boot-test needs --", options[i].name);
	}
	if (jobs && (o.jobs = read_number(jobs, JOBS_MAX)) == 0)
		return bad_usage("not a number from 1 to 256: ", jobs);
	if (timeout && (o.timeout_s = read_number(timeout, 86400)) == 0)
		return bad_usage("not a number of seconds: ", timeout);
	if (tools)
		o.tools = tools;
	o.wanted = argv + first;
	o.wanted_count = (size_t)(argc - first);
	return boottest(&o, err) < 0 ? err_report(err, PROGRAM) : 0;
}

int build_command(int argc, char **argv)
{
	struct err err = { 0 };

	if (strcmp(argv[0], "build") == 0)
		return command_build(argc, argv, &err);
	if (strcmp(argv[0], "boot-test") == 0)
		return command_boot_test(argc, argv, &err);
	return -1;
}
