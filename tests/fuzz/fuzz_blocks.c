#include <stdlib.h>
#include <string.h>

#include "image/blocks.h"
#include "image/share.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A list of blocks, and a list of accounts: files that others may have touched. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct blocks blocks;
	struct accounts accounts = { 0 };
	struct err err = { 0 };

	memcpy(text, data, len);
	text[len] = '\0';
	if (blocks_parse(text, len, &blocks, &err) == 0) {
		for (size_t i = 0; i < blocks.count; i++)
			if (blocks.at[i].index >= blocks.gib * BLOCKS_PER_GIB ||
			    (i && blocks.at[i].index <= blocks.at[i - 1].index))
				abort();
		blocks_free(&blocks);
	} else if (!err.text[0]) {
		abort();
	}
	share_accounts_parse(text, &accounts, &err);
	for (size_t i = 0; i < accounts.count; i++)
		if (strlen(accounts.at[i]) != ACCOUNT_SIZE - 1)
			abort();
	accounts_free(&accounts);
	free(text);
	return 0;
}
