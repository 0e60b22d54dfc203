#include <stdlib.h>
#include <string.h>

#include "image/ec2.h"

void accounts_free(struct accounts *accounts)
{
	free(accounts->at);
	*accounts = (struct accounts){ 0 };
}

/* Where an id stands, or would. */
static size_t place(const struct accounts *accounts, const char *id)
{
	size_t low = 0, high = accounts->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(accounts->at[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool accounts_have(const struct accounts *accounts, const char *id)
{
	size_t at = place(accounts, id);

	return at < accounts->count && strcmp(accounts->at[at], id) == 0;
}

int accounts_add(struct accounts *accounts, const char *id, struct err *err)
{
	size_t at = place(accounts, id);

	if (strlen(id) != ACCOUNT_SIZE - 1 ||
	    strspn(id, "0123456789") != ACCOUNT_SIZE - 1)
		return err_set(err, ERR_USAGE, "'%.40s' is not an account: 12 digits",
			       id);
	if (at < accounts->count && strcmp(accounts->at[at], id) == 0)
		return 0;
	if (accounts->count == accounts->room) {
		size_t room = accounts->room ? 2 * accounts->room : 64;
		char(*ids)[ACCOUNT_SIZE] = realloc(accounts->at, room * sizeof(*ids));

		if (!ids)
			return err_set(err, ERR_FAILED, "out of memory");
		accounts->at = ids;
		accounts->room = room;
	}
	memmove(accounts->at + at + 1, accounts->at + at,
		(accounts->count - at) * sizeof(*accounts->at));
	strcpy(accounts->at[at], id);
	accounts->count++;
	return 0;
}

int accounts_less(const struct accounts *first, const struct accounts *second,
		  struct accounts *result, struct err *err)
{
	for (size_t i = 0; i < first->count; i++)
		if (!accounts_have(second, first->at[i]) &&
		    accounts_add(result, first->at[i], err) < 0)
			return -1;
	return 0;
}
