/*
 * What publish, share and prune have in common on the command line: where AWS is, with
 * which keys, through which CAs; and their entry points, which image's main calls.
 */
#ifndef FVOL_IMAGE_RELEASE_H
#define FVOL_IMAGE_RELEASE_H

#include <getopt.h>

#include "image/aws.h"
#include "toolkit/lib/s3options.h"
#include "toolkit/lib/s3session.h"

/* Zero-initialised; strings are borrowed from argv. */
struct release_options {
	struct s3_options s3; /* Region, CAs, credentials, proxy, retries */
	const char *endpoint_ec2, *endpoint_kms;
	bool json, help, version;
};

enum {
	RELEASE_OPT_EC2 = 1024,
	RELEASE_OPT_KMS,
	RELEASE_OPT_JSON,
	RELEASE_OPT_OWN, /* the first of a command's own */
};

/* clang-format off */
#define RELEASE_LONG_OPTIONS                                                             \
	{ "region", required_argument, NULL, S3_OPT_REGION },                            \
	{ "endpoint", required_argument, NULL, S3_OPT_ENDPOINT },                        \
	{ "endpoint-ec2", required_argument, NULL, RELEASE_OPT_EC2 },                    \
	{ "endpoint-kms", required_argument, NULL, RELEASE_OPT_KMS },                    \
	{ "connect-to", required_argument, NULL, S3_OPT_CONNECT_TO },                    \
	{ "proxy", required_argument, NULL, S3_OPT_PROXY },                              \
	{ "ca", required_argument, NULL, S3_OPT_CA },                                    \
	{ "credentials", required_argument, NULL, S3_OPT_CREDENTIALS },                  \
	{ "imds-endpoint", required_argument, NULL, S3_OPT_IMDS },                       \
	{ "retries", required_argument, NULL, S3_OPT_RETRIES },                          \
	{ "stall", required_argument, NULL, S3_OPT_STALL },                              \
	{ "json", no_argument, NULL, RELEASE_OPT_JSON },                                 \
	{ "help", no_argument, NULL, 'h' },                                              \
	{ "version", no_argument, NULL, 'V' }
/* clang-format on */

#define RELEASE_USAGE                                                                           \
	"      --region NAME          default: AWS_REGION, or what the metadata service says\n" \
	"      --credentials FROM     auto (the default), env, imds, container, or\n"           \
	"                             FILE[:PROFILE] with mode 0600\n"                          \
	"      --ca FILE              trusted CAs (default: this machine's)\n"                  \
	"      --endpoint URL         https://HOST[:PORT], not AWS's own; --endpoint-ec2,\n"    \
	"                             --endpoint-kms: where these services are elsewhere\n"     \
	"      --connect-to HOST:PORT where to connect to, whatever the name\n"                 \
	"      --proxy URL            http://HOST:PORT\n"                                       \
	"      --imds-endpoint URL    where the metadata service is\n"                          \
	"      --retries N            attempts of one call (default 10)\n"                      \
	"      --stall SECONDS        give a connection up that moves no byte (default 30)\n"   \
	"      --json                 the result as one line of JSON\n"                         \
	"  -h, --help                 this text\n"                                              \
	"  -V, --version              the version\n"

/*
 * Takes one option that RELEASE_LONG_OPTIONS has, -h and -V, or one whose slot the caller
 * gives (NULL: none). Returns 0; -1 with err: given twice, or not an option at all.
 */
int release_option(struct release_options *options, int c, const char **slot, char **argv,
		   struct err *err);

/* The Region of the options or of the environment, or NULL. */
const char *release_region(const struct release_options *options);

struct release_session {
	struct s3_session s3;
	struct tls_roots *roots; /* parsed once for all connections */
	struct aws_config aws;
};

/* Opens credentials and CAs. release_close() in any case. */
int release_open(struct release_session *session, struct release_options *options,
		 struct err *err);
void release_close(struct release_session *session);

/* One of them. What its functions need is behind arg. */
struct release_command {
	const char *name, *usage;
	const struct option *long_options;
	struct release_options *options;
	void *arg;
	/* Takes option c of getopt_long(); those of all commands by release_option(). */
	int (*option)(void *arg, int c, char **argv, struct err *err);
	int (*run)(void *arg, char **operands, size_t count, struct err *err);
};

/*
 * Takes the options, then helps, says the version or runs; prints the error's line, "Try"
 * after bad usage, closes standard output. Returns the exit code.
 */
int release_main(const struct release_command *command, int argc, char **argv);

/* The commands: argv[0] is the command's name. Each returns the exit code. */
int publish_main(int argc, char **argv);
int share_main(int argc, char **argv);
int prune_main(int argc, char **argv);

#endif
