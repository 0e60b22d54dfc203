#include "tests/lib/memplace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct out_file *mem_open(void *state, const char *name, uint64_t size_bytes,
				 struct err *err)
{
	struct memplace *place = state;
	struct out_file *file;

	(void)size_bytes;
	if (place->count == MEMPLACE_FILES) {
		err_sys(err, ENOSPC, "%s", name);
		return NULL;
	}
	file = &place->files[place->count++];
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->open = true;
	file->place = place;
	return file;
}

static int mem_write(struct out_file *file, const void *data, size_t len_bytes,
		     struct err *err)
{
	struct memplace *place = file->place;

	place->written += len_bytes;
	if (place->full_at && place->written > place->full_at)
		return err_sys(err, ENOSPC, "%s", file->name);
	if (file->len + len_bytes + 1 > file->room) {
		file->room = 2 * file->room + len_bytes + 1;
		file->data = realloc(file->data, file->room);
		if (!file->data)
			abort();
	}
	memcpy(file->data + file->len, data, len_bytes);
	file->len += len_bytes;
	file->data[file->len] = '\0';
	return 0;
}

static int mem_close(struct out_file *file, struct err *err)
{
	(void)err;
	file->open = false;
	file->whole = true;
	return 0;
}

static void mem_abandon(struct out_file *file)
{
	file->open = false;
	file->abandoned = true;
}

static int mem_finish(void *state, struct err *err)
{
	struct memplace *place = state;

	(void)err;
	place->finished = true;
	return 0;
}

static void mem_free(void *state)
{
	struct memplace *place = state;

	place->freed = true;
}

const struct place_ops memplace_ops = {
	.open = mem_open,
	.write = mem_write,
	.close = mem_close,
	.abandon = mem_abandon,
	.finish = mem_finish,
	.free = mem_free,
};

const char *memplace_text(const struct memplace *place, const char *name)
{
	for (size_t i = 0; i < place->count; i++)
		if (strcmp(place->files[i].name, name) == 0)
			return place->files[i].data ? place->files[i].data : "";
	return "";
}

void memplace_clear(struct memplace *place)
{
	for (size_t i = 0; i < place->count; i++)
		free(place->files[i].data);
	memset(place, 0, sizeof(*place));
}
