#include <stdlib.h>
#include <string.h>

#include "image/ebs.h"
#include "image/kms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Answers in JSON: a page of blocks, a page of grants. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ebs_list list = { 0 };
	struct accounts accounts = { 0 };
	struct err err = { 0 };
	char next[1024];

	if (ebs_list_page((const char *)data, len, &list, next, &err) < 0 && !err.text[0])
		abort();
	for (size_t i = 0; i < list.count; i++)
		if (list.at[i].index >= list.gib * BLOCKS_PER_GIB ||
		    strlen(list.at[i].token) >= EBS_BLOCK_TOKEN_SIZE)
			abort();
	ebs_list_free(&list);
	kms_read_grants((const char *)data, len, &accounts, next, &err);
	accounts_free(&accounts);
	return 0;
}
