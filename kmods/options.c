#include "kmods/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "toolkit/lib/cli.h"

int bad_usage(const char *why, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", why, what);
	return cli_usage(PROGRAM, text);
}

void say(const char *sentence)
{
	fputs(PROGRAM ": ", stderr);
	cli_put_text(stderr, sentence);
	fputc('\n', stderr);
}

unsigned read_number(const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text < '1' || *text > '9' || *end != '\0' || n > max ? 0 : (unsigned)n;
}

int read_options(int argc, char **argv, const struct kmods_option *options)
{
	struct option list[OPTIONS_MAX + 1] = { { NULL, 0, NULL, 0 } };
	int index, c;

	for (index = 0; index < OPTIONS_MAX && options[index].name; index++)
		list[index] = (struct option){ options[index].name,
					       options[index].flag ? no_argument
								   : required_argument,
					       NULL, 0 };
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", list, &index)) != -1) {
		if (c != 0) {
			bad_usage(c == ':' ? "an argument is missing: "
					   : "no such option: ",
				  argv[optind - 1]);
			return -1;
		}
		if (options[index].flag) {
			*options[index].flag = true;
			continue;
		}
		if (cli_set_once(PROGRAM, options[index].value, options[index].name) != 0)
			return -1;
	}
	return optind;
}
