#include "toolkit/triage/census.h"

#include <stdlib.h>
#include <string.h>

/* More than any host has; what is beyond is said to be missing. */
#define PERSONS_MAX ((size_t)1 << 22)
#define OWNERS_MAX ((size_t)1 << 22)
#define FILES_MAX ((size_t)1 << 17)

/* Makes room for one more. Returns false when there is none. */
static bool grow(void **items, size_t count, size_t *room, size_t size, size_t most)
{
	size_t more = *room ? *room * 2 : 256;
	void *larger;

	if (count < *room)
		return true;
	if (more > most)
		return false;
	larger = realloc(*items, more * size);
	if (!larger)
		return false;
	*items = larger;
	*room = more;
	return true;
}

void census_add_person(struct census *census, const struct person *person)
{
	if (!grow((void **)&census->persons, census->person_count, &census->person_room,
		  sizeof(*person), PERSONS_MAX)) {
		census->failed = true;
		return;
	}
	census->persons[census->person_count++] = *person;
}

void census_add_owner(struct census *census, uint64_t inode, int32_t pid, int32_t fd)
{
	if (!grow((void **)&census->owners, census->owner_count, &census->owner_room,
		  sizeof(struct owner), OWNERS_MAX)) {
		census->failed = true;
		return;
	}
	census->owners[census->owner_count++] = (struct owner){ inode, pid, fd };
}

static size_t slot_of(const struct census *census, uint32_t major, uint32_t minor,
		      uint64_t inode)
{
	uint64_t hash = (inode ^ (uint64_t)major << 52 ^ (uint64_t)minor << 32) *
			0x9e3779b97f4a7c15u;
	size_t slot = (size_t)(hash >> 32) & (census->file_table_room - 1);

	for (; census->file_table[slot];
	     slot = (slot + 1) & (census->file_table_room - 1)) {
		const struct known_file *file =
			&census->files[census->file_table[slot] - 1];

		if (file->inode == inode && file->major == major && file->minor == minor)
			break;
	}
	return slot;
}

/* Keeps the table at most half full. */
static bool grow_table(struct census *census)
{
	size_t room = census->file_table_room ? census->file_table_room * 2 : 1024;
	uint32_t *table;

	if (census->file_count < census->file_table_room / 2)
		return true;
	table = calloc(room, sizeof(*table));
	if (!table)
		return false;
	free(census->file_table);
	census->file_table = table;
	census->file_table_room = room;
	for (size_t i = 0; i < census->file_count; i++) {
		const struct known_file *file = &census->files[i];

		table[slot_of(census, file->major, file->minor, file->inode)] =
			(uint32_t)i + 1;
	}
	return true;
}

static void add_pid(struct known_file *file, int32_t pid)
{
	for (size_t i = 0; i < sizeof(file->pids) / sizeof(file->pids[0]); i++) {
		if (file->pids[i] == pid)
			return;
		if (!file->pids[i]) {
			file->pids[i] = pid;
			return;
		}
	}
}

struct known_file *census_add_file(struct census *census, uint32_t major, uint32_t minor,
				   uint64_t inode, const char *path, uint8_t role,
				   int32_t pid)
{
	struct known_file *file;
	size_t slot;

	if (!grow_table(census) || !grow((void **)&census->files, census->file_count,
					 &census->file_room, sizeof(*file), FILES_MAX)) {
		census->failed = true;
		return NULL;
	}
	slot = slot_of(census, major, minor, inode);
	if (census->file_table[slot]) {
		file = &census->files[census->file_table[slot] - 1];
	} else {
		file = &census->files[census->file_count];
		*file = (struct known_file){ .inode = inode,
					     .major = major,
					     .minor = minor,
					     .path = strdup(path) };
		if (!file->path) {
			census->failed = true;
			return NULL;
		}
		census->file_table[slot] = (uint32_t)++census->file_count;
	}
	file->roles |= role;
	if (pid)
		add_pid(file, pid);
	return file;
}

static int by_pid(const void *a, const void *b)
{
	const struct person *one = a, *two = b;

	return (one->pid > two->pid) - (one->pid < two->pid);
}

static int by_inode(const void *a, const void *b)
{
	const struct owner *one = a, *two = b;

	if (one->inode != two->inode)
		return one->inode > two->inode ? 1 : -1;
	return (one->pid > two->pid) - (one->pid < two->pid);
}

void census_sort(struct census *census)
{
	if (census->person_count)
		qsort(census->persons, census->person_count, sizeof(struct person),
		      by_pid);
	if (census->owner_count)
		qsort(census->owners, census->owner_count, sizeof(struct owner),
		      by_inode);
}

const struct person *census_person(const struct census *census, int32_t pid)
{
	struct person key = { .pid = pid };

	return census->person_count ? bsearch(&key, census->persons, census->person_count,
					      sizeof(key), by_pid)
				    : NULL;
}

const struct owner *census_owners(const struct census *census, uint64_t inode,
				  size_t *count)
{
	size_t low = 0, high = census->owner_count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (census->owners[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < census->owner_count && census->owners[end].inode == inode;)
		end++;
	*count = end - low;
	return *count ? &census->owners[low] : NULL;
}

const struct known_file *census_file(const struct census *census, uint32_t major,
				     uint32_t minor, uint64_t inode)
{
	size_t slot = census->file_table_room ? slot_of(census, major, minor, inode) : 0;

	return census->file_table_room && census->file_table[slot]
		       ? &census->files[census->file_table[slot] - 1]
		       : NULL;
}

void census_clear(struct census *census)
{
	for (size_t i = 0; i < census->file_count; i++)
		free(census->files[i].path);
	if (census->file_count)
		memset(census->file_table, 0,
		       census->file_table_room * sizeof(*census->file_table));
	census->person_count = census->owner_count = census->file_count = 0;
	census->failed = false;
}

void census_free(struct census *census)
{
	census_clear(census);
	free(census->persons);
	free(census->owners);
	free(census->files);
	free(census->file_table);
	*census = (struct census){ 0 };
}
