#include "toolkit/lib/s3options.h"

#include <string.h>

#include "toolkit/lib/s3.h"
#include "toolkit/lib/transfer.h"

const char **s3_options_slot(struct s3_options *opt, int c)
{
	switch (c) {
	case S3_OPT_REGION:
		return &opt->region;
	case S3_OPT_ENDPOINT:
		return &opt->endpoint;
	case S3_OPT_CONNECT_TO:
		return &opt->connect_to;
	case S3_OPT_PROXY:
		return &opt->proxy;
	case S3_OPT_CA:
		return &opt->ca;
	case S3_OPT_CREDENTIALS:
		return &opt->credentials;
	case S3_OPT_IMDS:
		return &opt->imds_endpoint;
	case S3_OPT_PART_SIZE:
		return &opt->part_size;
	case S3_OPT_PARALLEL:
		return &opt->parallel;
	case S3_OPT_OWNER:
		return &opt->owner;
	case S3_OPT_KMS:
		return &opt->kms_key;
	case S3_OPT_LOCK:
		return &opt->lock;
	case S3_OPT_RETAIN:
		return &opt->retain_until;
	case S3_OPT_RETRIES:
		return &opt->retries;
	case S3_OPT_STALL:
		return &opt->stall;
	default:
		return NULL;
	}
}

bool *s3_options_flag(struct s3_options *opt, int c)
{
	switch (c) {
	case S3_OPT_HOLD:
		return &opt->legal_hold;
	case S3_OPT_OVERWRITE:
		return &opt->overwrite;
	default:
		return NULL;
	}
}

bool s3_options_any(const struct s3_options *opt)
{
	static const struct s3_options none;

	return memcmp(opt, &none, sizeof(none)) != 0;
}

bool s3_options_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	uint64_t value = 0;
	const char *unit;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1])
			return false;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(value, 1024, &value))
				return false;
	}
	*out = value;
	return true;
}

bool s3_options_number(const char *text, unsigned least, unsigned most, unsigned *out)
{
	uint64_t value;

	if (!text)
		return true;
	if (!s3_options_size(text, &value) || value < least || value > most)
		return false;
	*out = (unsigned)value;
	return true;
}

const char *s3_options_target(struct s3_options *opt, const char *target)
{
	const char *slash;
	size_t len;

	if (strncmp(target, "s3://", 5) != 0)
		return "the target is not s3://BUCKET/KEY";
	slash = strchr(target + 5, '/');
	len = slash ? (size_t)(slash - target - 5) : strlen(target + 5);
	if (!len || len >= sizeof(opt->bucket))
		return "no bucket can have this name";
	memcpy(opt->bucket, target + 5, len);
	opt->key = slash ? slash + 1 : "";
	len = strlen(opt->key);
	opt->prefix = !len || opt->key[len - 1] == '/';
	return NULL;
}

const char *s3_options_check(struct s3_options *opt)
{
	if (opt->part_size &&
	    (!s3_options_size(opt->part_size, &opt->part_bytes) ||
	     opt->part_bytes % 4096 || opt->part_bytes < S3_PART_MIN_BYTES ||
	     opt->part_bytes > S3_PART_MAX_BYTES))
		return "--part-size takes 5M to 5G, in blocks of 4096 bytes";
	if (!s3_options_number(opt->parallel, 1, TRANSFER_PARALLEL_MAX, &opt->n_parallel))
		return "--parallel takes 1 to 64";
	if (!s3_options_number(opt->retries, 1, 1000, &opt->n_retries))
		return "--retries takes 1 to 1000";
	if (!s3_options_number(opt->stall, 1, 3600, &opt->stall_s))
		return "--stall takes 1 to 3600 seconds";
	if (!opt->lock != !opt->retain_until)
		return "--lock and --retain-until belong together";
	if (opt->lock && strcmp(opt->lock, "GOVERNANCE") != 0 &&
	    strcmp(opt->lock, "COMPLIANCE") != 0)
		return "--lock takes GOVERNANCE or COMPLIANCE";
	return NULL;
}
