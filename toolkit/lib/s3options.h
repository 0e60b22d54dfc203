/*
 * The command-line options that say where in S3 something goes and with which keys, the
 * same in every program that has them. No secret is ever one of them.
 */
#ifndef FVOL_S3OPTIONS_H
#define FVOL_S3OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

/* All strings are borrowed from argv; zero-initialised. */
struct s3_options {
	const char *region, *endpoint, *ca, *connect_to, *proxy;
	const char *credentials, *imds_endpoint;
	const char *part_size, *parallel, *retries, *stall;
	const char *owner, *kms_key, *lock, *retain_until;
	bool legal_hold, overwrite;

	/* Made of them by s3_options_check(), and by s3_options_target(). */
	char bucket[64];
	const char *key; /* of s3://BUCKET/KEY */
	bool prefix;	 /* the key is empty or ends in /: names are added to it */
	uint64_t part_bytes;
	unsigned n_parallel, n_retries, stall_s;
};

/* Values of getopt_long(), above those that programs use themselves. */
enum {
	S3_OPT_REGION = 512,
	S3_OPT_ENDPOINT,
	S3_OPT_CONNECT_TO,
	S3_OPT_PROXY,
	S3_OPT_CA,
	S3_OPT_CREDENTIALS,
	S3_OPT_IMDS,
	S3_OPT_PART_SIZE,
	S3_OPT_PARALLEL,
	S3_OPT_OWNER,
	S3_OPT_KMS,
	S3_OPT_LOCK,
	S3_OPT_RETAIN,
	S3_OPT_HOLD,
	S3_OPT_OVERWRITE,
	S3_OPT_RETRIES,
	S3_OPT_STALL,
};

/* clang-format off */
#define S3_LONG_OPTIONS                                                                  \
	{ "region", required_argument, NULL, S3_OPT_REGION },                            \
	{ "endpoint", required_argument, NULL, S3_OPT_ENDPOINT },                        \
	{ "connect-to", required_argument, NULL, S3_OPT_CONNECT_TO },                    \
	{ "proxy", required_argument, NULL, S3_OPT_PROXY },                              \
	{ "ca", required_argument, NULL, S3_OPT_CA },                                    \
	{ "credentials", required_argument, NULL, S3_OPT_CREDENTIALS },                  \
	{ "imds-endpoint", required_argument, NULL, S3_OPT_IMDS },                       \
	{ "part-size", required_argument, NULL, S3_OPT_PART_SIZE },                      \
	{ "parallel", required_argument, NULL, S3_OPT_PARALLEL },                        \
	{ "owner", required_argument, NULL, S3_OPT_OWNER },                              \
	{ "kms-key", required_argument, NULL, S3_OPT_KMS },                              \
	{ "lock", required_argument, NULL, S3_OPT_LOCK },                                \
	{ "retain-until", required_argument, NULL, S3_OPT_RETAIN },                      \
	{ "legal-hold", no_argument, NULL, S3_OPT_HOLD },                                \
	{ "overwrite", no_argument, NULL, S3_OPT_OVERWRITE },                            \
	{ "retries", required_argument, NULL, S3_OPT_RETRIES },                          \
	{ "stall", required_argument, NULL, S3_OPT_STALL }
/* clang-format on */

/* The usage lines of those that say where and how, for a program's static text. */
#define S3_USAGE                                                                               \
	"      --region NAME          the bucket's Region (default: AWS_REGION, or what the\n" \
	"                             metadata service says)\n"                                \
	"      --endpoint URL         https://HOST[:PORT], not AWS's own; path style\n"        \
	"      --connect-to HOST:PORT where to connect to, whatever the name\n"                \
	"      --proxy URL            http://HOST:PORT\n"                                      \
	"      --ca FILE              trusted CAs (default: etc/ca.pem of the volume)\n"       \
	"      --credentials FROM     auto (the default), env, imds, container, or\n"          \
	"                             FILE[:PROFILE] with mode 0600\n"                         \
	"      --imds-endpoint URL    where the metadata service is\n"                         \
	"      --part-size BYTES      5M to 5G (default: 8M, more where 10,000 are too few)\n" \
	"      --parallel N           parts in memory (default 4; capture and triage 2)\n"     \
	"      --owner ID             the account that must own the bucket\n"                  \
	"      --kms-key ARN          encrypt with this key; default: with S3's own\n"         \
	"      --lock MODE            GOVERNANCE or COMPLIANCE, with\n"                        \
	"      --retain-until TIME    2027-01-01T00:00:00Z\n"                                  \
	"      --legal-hold           put the object under legal hold\n"                       \
	"      --overwrite            replace an object that is there\n"                       \
	"      --retries N            attempts of one call (default 10)\n"                     \
	"      --stall SECONDS        give a connection up that moves no byte (default 30)\n"

/* The slot of an option that takes a word, or NULL. */
const char **s3_options_slot(struct s3_options *opt, int c);

/* The flag of an option that takes none, or NULL. */
bool *s3_options_flag(struct s3_options *opt, int c);

/* Reads numbers and looks for contradictions. Returns what is wrong, or NULL. */
const char *s3_options_check(struct s3_options *opt);

/* Takes s3://BUCKET/KEY apart. Returns what is wrong, or NULL. */
const char *s3_options_target(struct s3_options *opt, const char *target);

/* Was any of them given? */
bool s3_options_any(const struct s3_options *opt);

/* "64M": digits, perhaps with K, M, G or T (1024). Returns false for anything else. */
bool s3_options_size(const char *text, uint64_t *out);

/* A number in a range; a NULL text leaves *out alone. */
bool s3_options_number(const char *text, unsigned least, unsigned most, unsigned *out);

#endif
