#include "kmods/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/catalogue.h"
#include "kmods/exchange.h"
#include "kmods/options.h"
#include "kmods/verify.h"
#include "toolkit/lib/catversion.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"

const char commands_usage[] =
	"\n"
	"usage: kmods sign (--sign-key KEY.pem | --sign-command PROGRAM --key PUBLIC.pem) DIR\n"
	"       kmods verify [--key PUBLIC.pem | --keys DIR] [--min-version N] [--tested]\n"
	"                   [--json] DIR\n"
	"       kmods add --from DIR --into DIR [--arch ARCH] [--release RELEASE]\n"
	"       kmods export (--orchestrator OUT | --repo OUT) --catalogue DIR [--arch ARCH]\n"
	"                   [--release RELEASE] [--tested]\n"
	"       kmods import --repo DIR|URL --into DIR [--ca FILE] [--release RELEASE]\n"
	"                   [--min-revision N]\n"
	"       kmods need --catalogue DIR [--from RECORD] [--arch ARCH] [--lock FILE]\n"
	"                   [--list FILE --scratch DIR] [--tested] [--json]\n"
	"                   [RELEASE | RECORD.json]...\n"
	"       kmods need --build ... --packages DIR --lime DIR --lime-version V\n"
	"                   --scratch DIR [--store DIR] [--jobs N] [--tools PATH]\n"
	"                   [--offline DIR] [--ca FILE]\n"
	"\n"
	"These work on the directory of a catalogue (out/kmods).\n"
	"sign writes catalogue.json.sig (ECDSA P-256), verify checks it, the catalogue's\n"
	"number, every module and symbol file, and that there is nothing else.\n"
	"  --min-version N   the least number that the catalogue may have\n"
	"  --tested          nothing that was not boot-tested\n"
	"add takes modules over from another catalogue; export writes the layout of the\n"
	"automated-forensic-orchestrator or a repository for margaritashotgun; import takes\n"
	"the modules of such a repository, which are never marked as tested.\n"
	"need says whether the kernels of releases, or of records that capture wrote, have a\n"
	"module, and which packages would give it, by a lock file or by asking the sources of\n"
	"a list (kmods/kernels.list); --build fetches them, builds and adds the module.\n"
	"\n"
	"Exit: 0 done; 1 the answer is no: a file is not the expected one, a kernel has no\n"
	"module; 2 usage; 3 done, but a symbol file or an entry is missing; 4 refused by the\n"
	"system; 5 failed.\n";

/* The only operand, or NULL after saying that there is not one. */
static const char *only_operand(int argc, char **argv, int first, const char *what)
{
	if (argc - first == 1)
		return argv[first];
	bad_usage(argc == first ? "not given: " : "more is given than ", what);
	return NULL;
}

/* Is it no architecture of ours? Says so then. */
static bool bad_arch(const struct choice *choice)
{
	return choice->arch && !arch_find(choice->arch) &&
	       bad_usage("--arch is x86_64 or aarch64, not ", choice->arch);
}

/* A name that the user gave, whatever is in it, before what is said of it. */
static void print_name(const char *name)
{
	cli_put_text(stdout, name);
	fputs(": ", stdout);
}

static int done(struct err *err)
{
	return io_close_stdout(err) < 0 ? err_report(err, PROGRAM) : 0;
}

static int command_sign(int argc, char **argv)
{
	struct signer signer = { NULL, NULL, NULL };
	const struct kmods_option options[] = {
		{ "sign-key", &signer.key_path, NULL },
		{ "sign-command", &signer.command, NULL },
		{ "key", &signer.public_path, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options);
	char hex[SHA256_HEX_SIZE];
	uint8_t id[SHA256_LEN];
	struct err err = { 0 };
	const char *dir;

	if (first < 0)
		return ERR_USAGE;
	if (!signer.command != !signer.public_path || !signer.key_path == !signer.command)
		return bad_usage("sign needs --sign-key, or --sign-command with --key",
				 "");
	dir = only_operand(argc, argv, first, "the catalogue's directory");
	if (!dir)
		return ERR_USAGE;
	if (catalogue_sign(dir, &signer, id, &err) < 0)
		return err_report(&err, PROGRAM);
	sha256_to_hex(id, hex);
	cli_put_text(stdout, dir);
	printf("/%s: signed by %s\n", CATALOGUE_SIGNATURE, hex);
	return done(&err);
}

struct findings {
	struct json *doc; /* NULL: they are printed */
	struct json_node *list;
};

static void print_finding(void *arg, const char *what)
{
	const struct findings *findings = arg;

	if (findings->doc) {
		json_add_str(findings->doc, findings->list, NULL, what);
		return;
	}
	cli_put_text(stdout, what);
	putchar('\n');
}

static const char *signature_word(const struct verify_options *o,
				  const struct verify_result *r)
{
	return r->signature_checked ? "good"
	       : o->key || o->keys  ? "bad"
	       : r->has_signature   ? "not checked"
				    : "none";
}

static void print_verified(const struct verify_options *o, const struct verify_result *r)
{
	print_name(o->dir);
	printf("version %llu, %zu modules, %zu boot-tested, %zu with symbols; ",
	       (unsigned long long)r->version, r->modules, r->tested, r->symbols);
	puts(r->signature_checked ? "signature good"
	     : o->key || o->keys  ? "signature NOT good"
	     : r->has_signature	  ? "signature not checked: no --key"
				  : "not signed");
}

static void add_verified(const struct findings *f, const struct verify_options *o,
			 const struct verify_result *r)
{
	struct json_node *root = json_root(f->doc);

	json_add_u64(f->doc, root, "catalogue_version", r->version);
	json_add_u64(f->doc, root, "modules", r->modules);
	json_add_u64(f->doc, root, "tested", r->tested);
	json_add_u64(f->doc, root, "symbols", r->symbols);
	json_add_str(f->doc, root, "signature", signature_word(o, r));
}

static int command_verify(int argc, char **argv)
{
	struct verify_options o = { 0 };
	struct findings findings = { NULL, NULL };
	const char *version = NULL;
	bool json = false;
	const struct kmods_option options[] = {
		{ "key", &o.key, NULL },       { "keys", &o.keys, NULL },
		{ "tested", NULL, &o.tested }, { "min-version", &version, NULL },
		{ "json", NULL, &json },       { NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), rc, code = 0;
	struct verify_result result;
	struct err err = { 0 }, why;

	if (first < 0)
		return ERR_USAGE;
	if (o.key && o.keys)
		return bad_usage("--key and --keys exclude each other", "");
	if (version && !catversion_parse(version, &o.min_version))
		return bad_usage("not the number of a catalogue: ", version);
	o.dir = only_operand(argc, argv, first, "the catalogue's directory");
	if (!o.dir)
		return ERR_USAGE;
	if (json) {
		findings.doc = json_new();
		if (!findings.doc)
			return ERR_FAILED;
		findings.list =
			json_add_array(findings.doc, json_root(findings.doc), "findings");
	}
	rc = catalogue_verify(&o, print_finding, &findings, &result, &err);
	if (rc < 0)
		code = err_report(&err, PROGRAM);
	if (rc == 0 || result.findings > 0) {
		if (!json) {
			print_verified(&o, &result);
		} else {
			add_verified(&findings, &o, &result);
			json_add_bool(findings.doc, json_root(findings.doc), "good",
				      rc == 0);
			rc = cli_print_json(findings.doc, &why);
			findings.doc = NULL;
			if (rc < 0)
				return err_report(&why, PROGRAM);
		}
	}
	json_free(findings.doc);
	return code ? code : done(&err);
}

static void print_exchange(const char *into, const struct exchange_result *r)
{
	print_name(into);
	printf("%zu added, %zu replaced, %zu kept as they were, %zu refused; version "
	       "%llu\n",
	       r->added, r->replaced, r->kept, r->refused,
	       (unsigned long long)r->version);
}

static int command_add(int argc, char **argv)
{
	struct choice choice = { NULL, NULL, false };
	const char *from = NULL, *into = NULL;
	const struct kmods_option options[] = {
		{ "from", &from, NULL },	{ "into", &into, NULL },
		{ "arch", &choice.arch, NULL }, { "release", &choice.release, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options);
	struct exchange_result result;
	struct err err = { 0 };

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	if (!from || !into)
		return bad_usage("add needs --from and --into", "");
	if (bad_arch(&choice))
		return ERR_USAGE;
	if (catalogue_add(from, into, &choice, &result, &err) < 0)
		return err_report(&err, PROGRAM);
	print_exchange(into, &result);
	return done(&err);
}

static int command_export(int argc, char **argv)
{
	struct choice choice = { NULL, NULL, false };
	const char *orchestrator = NULL, *repo = NULL, *catalogue = NULL;
	const struct kmods_option options[] = {
		{ "orchestrator", &orchestrator, NULL },
		{ "repo", &repo, NULL },
		{ "catalogue", &catalogue, NULL },
		{ "arch", &choice.arch, NULL },
		{ "release", &choice.release, NULL },
		{ "tested", NULL, &choice.tested },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), rc;
	struct err err = { 0 };
	size_t count;

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	if (!orchestrator == !repo || !catalogue)
		return bad_usage("export needs --catalogue and one of --orchestrator and "
				 "--repo",
				 "");
	if (bad_arch(&choice))
		return ERR_USAGE;
	rc = orchestrator
		     ? export_orchestrator(catalogue, orchestrator, &choice, &count, &err)
		     : export_repo(catalogue, repo, &choice, &count, &err);
	if (rc < 0)
		return err_report(&err, PROGRAM);
	print_name(orchestrator ? orchestrator : repo);
	printf("%zu modules\n", count);
	return done(&err);
}

static void print_refusal(void *arg, const char *what)
{
	(void)arg;
	say(what);
}

static int command_import(int argc, char **argv)
{
	struct import_options o = { 0 };
	const char *revision = NULL;
	const struct kmods_option options[] = {
		{ "repo", &o.from, NULL },
		{ "into", &o.into, NULL },
		{ "ca", &o.ca, NULL },
		{ "release", &o.release, NULL },
		{ "min-revision", &revision, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), code = 0;
	struct exchange_result result;
	struct err err = { 0 };

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	if (!o.from || !o.into)
		return bad_usage("import needs --repo and --into", "");
	if (revision && !catversion_parse(revision, &o.min_revision))
		return bad_usage("not a number: ", revision);
	if (import_repo(&o, print_refusal, NULL, &result, &err) < 0)
		code = err_report(&err, PROGRAM);
	if (result.added + result.kept + result.refused > 0)
		print_exchange(o.into, &result);
	return code ? code : done(&err);
}

int catalogue_command(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "sign", command_sign },     { "verify", command_verify },
		{ "add", command_add },	      { "export", command_export },
		{ "import", command_import }, { "need", command_need },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].run(argc, argv);
	}
	return -1;
}
