#include "toolkit/compress/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/sums.h"

#define SHOWN "%.160s"

static bool is_sums(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, "SHA256SUMS") == 0;
}

struct listed *listing_add(struct listing *listing, const struct tar_entry *entry,
			   struct err *err)
{
	bool sums = !entry->dir && is_sums(entry->path);
	struct listed *listed;

	if (listing->count == LISTING_MAX) {
		err_set(err, ERR_FAILED, "more than %d files", LISTING_MAX);
		return NULL;
	}
	if (sums && entry->size_bytes > LISTING_SUMS_MAX) {
		err_set(err, ERR_FAILED, SHOWN " is larger than %u bytes", entry->path,
			LISTING_SUMS_MAX);
		return NULL;
	}
	if (!(listing->count & (listing->count - 1))) {
		size_t room = listing->count ? 2 * listing->count : 1;
		void *at = realloc(listing->at, room * sizeof(listing->at[0]));

		if (!at)
			goto none;
		listing->at = at;
	}
	listed = calloc(1, sizeof(*listed));
	if (!listed)
		goto none;
	listed->entry = *entry;
	if (sums)
		listed->sums = calloc(1, (size_t)entry->size_bytes + 1);
	if (sums && !listed->sums) {
		free(listed);
		goto none;
	}
	return listing->at[listing->count++] = listed;
none:
	err_sys(err, ENOMEM, "listing files");
	return NULL;
}

void listing_free(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		free(listing->at[i]->sums);
		free(listing->at[i]);
	}
	free(listing->at);
	*listing = (struct listing){ 0 };
}

static int by_path(const void *a, const void *b)
{
	const struct listed *const *left = a, *const *right = b;

	return strcmp((*left)->entry.path, (*right)->entry.path);
}

void listing_sort(struct listing *listing)
{
	if (listing->count)
		qsort(listing->at, listing->count, sizeof(listing->at[0]), by_path);
}

int listing_unique(const struct listing *listing, struct err *err)
{
	for (size_t i = 1; i < listing->count; i++)
		if (by_path(&listing->at[i - 1], &listing->at[i]) == 0)
			return err_set(err, ERR_FAILED, SHOWN " is there twice",
				       listing->at[i]->entry.path);
	return 0;
}

static const struct listed *find(const struct listing *listing, const char *path)
{
	size_t low = 0, high = listing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, listing->at[middle]->entry.path);

		if (order == 0)
			return listing->at[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static int check_one(const struct listing *listing, const struct listed *sums,
		     size_t *checked, struct err *err)
{
	static struct sums_entry entry;
	static char path[TAR_PATH_SIZE + sizeof(entry.name)];
	size_t dir = strlen(sums->entry.path) - strlen("SHA256SUMS");
	size_t pos = 0, line = 0;
	int more;

	while ((more = sums_next(sums->sums, (size_t)sums->entry.size_bytes, &pos, &line,
				 &entry, err)) > 0) {
		const struct listed *file;

		snprintf(path, sizeof(path), "%.*s%s", (int)dir, sums->entry.path,
			 entry.name);
		file = find(listing, path);
		if (!file || file->entry.dir)
			return err_set(err, ERR_NO, SHOWN " lists " SHOWN ": missing",
				       sums->entry.path, entry.name);
		if (memcmp(file->sha256, entry.digest, SHA256_LEN) != 0)
			return err_set(err, ERR_NO, SHOWN " lists " SHOWN ": differs",
				       sums->entry.path, entry.name);
		++*checked;
	}
	return more < 0 ? err_prefix(err, SHOWN, sums->entry.path) : 0;
}

int listing_check_sums(const struct listing *listing, size_t *checked, size_t *sums,
		       struct err *err)
{
	*checked = *sums = 0;
	for (size_t i = 0; i < listing->count; i++) {
		if (!listing->at[i]->sums)
			continue;
		if (check_one(listing, listing->at[i], checked, err) < 0)
			return -1;
		++*sums;
	}
	return 0;
}
