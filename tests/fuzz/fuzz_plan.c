#include <stdlib.h>
#include <string.h>

#include "image/path.h"
#include "image/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Whatever a plan holds, a line that is taken has paths that may stand on a volume. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct plan plan;
	struct err err;

	if (plan_parse((const char *)data, len, &plan, &err) < 0) {
		if (plan.count != 0 || err.kind != ERR_FAILED ||
		    strncmp(err.text, "line ", 5) != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < plan.count; i++) {
		const struct plan_line *line = &plan.lines[i];

		if (line->mode > 0777 || line->line == 0 ||
		    (line->kind == PLAN_DIR) != (line->source == NULL))
			abort();
		if (!(line->kind == PLAN_TREE && !*line->dest) && path_fault(line->dest))
			abort();
		if (line->source && path_fault(line->source))
			abort();
	}
	plan_free(&plan);
	return 0;
}
