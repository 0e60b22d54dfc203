#include "image/release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"

#ifndef FVOL_VERSION
#define FVOL_VERSION "unknown"
#endif

int release_option(struct release_options *options, int c, const char **slot, char **argv,
		   struct err *err)
{
	const char *name = argv[optind - 1];

	if (c == ':')
		return err_set(err, ERR_USAGE, "%s needs a value", name);
	if (c == '?')
		return err_set(err, ERR_USAGE, "unknown option %s", name);
	if (c == RELEASE_OPT_JSON || c == 'h' || c == 'V') {
		*(c == 'h'   ? &options->help
		  : c == 'V' ? &options->version
			     : &options->json) = true;
		return 0;
	}
	if (!slot)
		slot = c == RELEASE_OPT_EC2   ? &options->endpoint_ec2
		       : c == RELEASE_OPT_KMS ? &options->endpoint_kms
					      : s3_options_slot(&options->s3, c);
	if (!slot)
		return err_set(err, ERR_USAGE, "unknown option %s", name);
	if (*slot)
		return err_set(err, ERR_USAGE, "an option is given twice, with '%.60s'",
			       optarg);
	*slot = optarg;
	return 0;
}

const char *release_region(const struct release_options *options)
{
	const char *region = options->s3.region;

	if (!region)
		region = getenv("AWS_REGION");
	if (!region || !region[0])
		region = getenv("AWS_DEFAULT_REGION");
	return region && region[0] ? region : NULL;
}

/* Debian, Fedora and their kin, SUSE. */
static const char *system_ca(void)
{
	static const char *const paths[] = { "/etc/ssl/certs/ca-certificates.crt",
					     "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/ca-bundle.pem" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	return paths[0];
}

int release_open(struct release_session *session, struct release_options *options,
		 struct err *err)
{
	const char *wrong = s3_options_check(&options->s3);

	*session = (struct release_session){ 0 };
	if (wrong)
		return err_set(err, ERR_USAGE, "%s", wrong);
	if (!options->s3.ca)
		options->s3.ca = system_ca();
	interrupt_catch();
	if (s3_session_open(&session->s3, &options->s3, true, &interrupted, err) < 0)
		return -1;
	session->roots = tls_roots_new(session->s3.ca, strlen(session->s3.ca), err);
	if (!session->roots)
		return err_prefix(err, "trusted CAs (--ca)");
	session->aws = (struct aws_config){
		.http = session->s3.s3.http,
		.credentials = session->s3.credentials,
		.region = session->s3.s3.region,
		.endpoint = { options->s3.endpoint,
			      options->endpoint_ec2 ? options->endpoint_ec2
						    : options->s3.endpoint,
			      options->endpoint_kms ? options->endpoint_kms
						    : options->s3.endpoint },
		.attempts = options->s3.n_retries,
		.stall_ms = (int)options->s3.stall_s * 1000
	};
	session->aws.http.roots = session->roots;
	session->aws.http.ca_pem = NULL;
	return 0;
}

void release_close(struct release_session *session)
{
	s3_session_close(&session->s3);
	tls_roots_free(session->roots);
}

static int end(int rc, struct err *err, const char *name)
{
	struct err late = { 0 };
	int code;

	if (rc < 0)
		err_prefix(err, "%s", name);
	if (io_close_stdout(&late) < 0 && rc >= 0) {
		*err = late;
		rc = -1;
	}
	if (rc >= 0)
		return 0;
	code = err_report(err, "image");
	if (code == ERR_USAGE)
		fprintf(stderr, "Try 'image %s --help'.\n", name);
	return code;
}

int release_main(const struct release_command *command, int argc, char **argv)
{
	struct err err = { 0 };
	int c, rc = 0;

	/* Our own sentences instead of getopt's. */
	opterr = 0;
	while (rc == 0 &&
	       (c = getopt_long(argc, argv, ":hV", command->long_options, NULL)) != -1)
		rc = command->option(command->arg, c, argv, &err);
	if (rc == 0 && command->options->help)
		fputs(command->usage, stdout);
	else if (rc == 0 && command->options->version)
		puts("image (fvol) " FVOL_VERSION);
	else if (rc == 0)
		rc = command->run(command->arg, argv + optind, (size_t)(argc - optind),
				  &err);
	return end(rc, &err, command->name);
}
