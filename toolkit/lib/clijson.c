#include "toolkit/lib/clijson.h"

#include <stdio.h>
#include <stdlib.h>

int cli_print_json(struct json *doc, struct err *err)
{
	char *text = json_text(doc, false, NULL, err);

	json_free(doc);
	if (!text)
		return -1;
	puts(text);
	free(text);
	return 0;
}
