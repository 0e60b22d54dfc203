#include <stdlib.h>
#include <string.h>

#include "image/ec2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Answers of EC2 in XML: snapshots, and errors of any service. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ec2_snapshots snapshots = { 0 };
	struct err err = { 0 };
	char next[1024], code[80], message[256];

	if (ec2_read_snapshots((const char *)data, len, &snapshots, next, &err) < 0 &&
	    !err.text[0])
		abort();
	for (size_t i = 0; i < snapshots.count; i++)
		if (!blocks_snapshot_ok(snapshots.at[i].id))
			abort();
	ec2_snapshots_free(&snapshots);
	aws_read_error((const char *)data, len, NULL, code, message);
	for (const char *p = code; *p; p++)
		if (*p <= ' ' || *p == 0x7f)
			abort();
	return 0;
}
