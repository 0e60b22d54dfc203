#include "toolkit/lib/cli.h"

#include <getopt.h>

#include "toolkit/lib/err.h"

int cli_set_once(const char *program, const char **slot, const char *option)
{
	if (*slot) {
		fprintf(stderr, "%s: --%s is given twice\n", program, option);
		fprintf(stderr, "Try '%s --help'.\n", program);
		return ERR_USAGE;
	}
	*slot = optarg;
	return 0;
}

int cli_take_once(const char *program, const char **slot, const struct option *options,
		  int c)
{
	while (options->name && options->val != c)
		options++;
	return cli_set_once(program, slot, options->name);
}

int cli_usage(const char *program, const char *why)
{
	fprintf(stderr, "%s: ", program);
	cli_put_text(stderr, why);
	fprintf(stderr, "\nTry '%s --help'.\n", program);
	return ERR_USAGE;
}

void cli_put_text(FILE *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			fprintf(out, "\\x%02x", *p);
		else
			fputc(*p, out);
	}
}
