/* Every derived output of a file of records: derive RECORDS DIR. Says what was wrong with
 * the records, exit code 3 then. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/triage/from.h"

struct out_file {
	FILE *file;
};

static struct out_file *dir_open(void *place, const char *name, uint64_t size_bytes,
				 struct err *err)
{
	struct out_file *file = calloc(1, sizeof(*file));
	char path[4096];

	(void)size_bytes;
	snprintf(path, sizeof(path), "%s/%s", (const char *)place, name);
	file->file = fopen(path, "w");
	if (file->file)
		return file;
	free(file);
	err_set(err, ERR_FAILED, "%s: cannot be opened", path);
	return NULL;
}

static int dir_write(struct out_file *file, const void *data, size_t len_bytes,
		     struct err *err)
{
	if (fwrite(data, 1, len_bytes, file->file) == len_bytes)
		return 0;
	return err_set(err, ERR_FAILED, "cannot be written");
}

static int dir_close(struct out_file *file, struct err *err)
{
	int rc = fclose(file->file);

	free(file);
	return rc == 0 ? 0 : err_set(err, ERR_FAILED, "cannot be closed");
}

static void dir_abandon(struct out_file *file)
{
	fclose(file->file);
	free(file);
}

static int dir_finish(void *place, struct err *err)
{
	(void)place;
	(void)err;
	return 0;
}

static void dir_free(void *place)
{
	(void)place;
}

static const struct place_ops dir_ops = {
	.open = dir_open,
	.write = dir_write,
	.close = dir_close,
	.abandon = dir_abandon,
	.finish = dir_finish,
	.free = dir_free,
};

static void say(void *context, uint64_t number, const char *why)
{
	(void)context;
	fprintf(stderr, "line %" PRIu64 ": %s\n", number, why);
}

int main(int argc, char **argv)
{
	static const struct derived *const all[] = {
		&derived_report,	 &derived_timesketch, &derived_bodyfile,
		&derived_varc_processes, &derived_varc_files,
	};
	struct from from = { .bad_line = say };
	struct err err = { 0 };
	char wrong[256];
	struct out *out;
	int fd, rc = 5;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	out = out_new(&dir_ops, argv[2], all, sizeof(all) / sizeof(all[0]),
		      OUT_LINES_NONE, &err);
	if (fd >= 0 && out && from_read(fd, out, &from, &err) == 0 &&
	    out_finish(out, &err) == 0) {
		rc = *from_wrong(&from, wrong, sizeof(wrong)) ? 3 : 0;
		if (rc)
			fprintf(stderr, "%s\n", wrong);
	} else {
		fprintf(stderr, "%s\n", err.text);
	}
	out_free(out);
	close(fd);
	return rc;
}
