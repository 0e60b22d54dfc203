#include <stdlib.h>
#include <string.h>

#include "image/key_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A policy that was written anew reads the same, and a second time it is the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct accounts accounts = { 0 }, missing = { 0 };
	struct err err = { 0 };
	size_t first_len, second_len;
	char *first, *second;

	accounts_add(&accounts, "222222222222", &err);
	key_policy_missing((const char *)data, len, "eu-west-1", &accounts, &missing,
			   &err);
	accounts_free(&missing);
	first = key_policy_with((const char *)data, len, "aws", &accounts, &first_len,
				&err);
	if (first) {
		second = key_policy_with(first, first_len, "aws", &accounts, &second_len,
					 &err);
		if (!second || second_len != first_len ||
		    memcmp(first, second, first_len) != 0)
			abort();
		free(second);
	}
	free(first);
	accounts_free(&accounts);
	return 0;
}
