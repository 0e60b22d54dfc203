/* For people without an account: what the snapshot would hold, as a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/output.h"
#include "image/publish.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/progress.h"

static int write_blocks(const struct publish_request *request,
			const struct publish_plan *plan, int fd, struct err *err)
{
	unsigned char *data = aligned_alloc(4096, BLOCKS_BYTES);
	uint8_t digest[SHA256_LEN];
	struct progress progress;
	int rc = -1;

	if (!data)
		return err_set(err, ERR_FAILED, "out of memory");
	progress_start(&progress, "writing", (uint64_t)plan->now.count * BLOCKS_BYTES);
	for (size_t i = 0; i < plan->now.count; i++) {
		const struct block *block = &plan->now.at[i];

		if (request->interrupted && *request->interrupted) {
			err_set(err, ERR_FAILED, "interrupted");
			goto out;
		}
		if (blocks_read(plan->fd, plan->now.image_bytes, block->index, data,
				err) < 0)
			goto out;
		sha256(data, BLOCKS_BYTES, digest);
		if (memcmp(digest, block->digest, sizeof(digest)) != 0) {
			err_set(err, ERR_FAILED, "%s changed while it was read",
				request->image);
			goto out;
		}
		if (io_pwrite(fd, data, BLOCKS_BYTES,
			      (uint64_t)block->index * BLOCKS_BYTES) < 0) {
			err_sys(err, errno, "writing");
			goto out;
		}
		progress_add(&progress, BLOCKS_BYTES);
	}
	rc = 0;
out:
	progress_end(&progress);
	free(data);
	return rc;
}

/* From the disk, not from the pages that were just written. */
static int check(const struct publish_request *request, const struct publish_plan *plan,
		 const char *path, struct err *err)
{
	struct blocks found = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = -1;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (blocks_scan(fd, &found, NULL, NULL, request->interrupted, err) < 0)
		goto out;
	if (found.image_bytes != (uint64_t)plan->gib << 30 ||
	    found.count != plan->now.count ||
	    (found.count &&
	     memcmp(found.at, plan->now.at, found.count * sizeof(*found.at)) != 0)) {
		err_set(err, ERR_NO, "%s is not what was written", path);
		goto out;
	}
	rc = 0;
out:
	blocks_free(&found);
	io_close(&fd);
	return rc;
}

int publish_to_file(const struct publish_request *request,
		    const struct publish_plan *plan, const char *path, struct err *err)
{
	struct output output = OUTPUT_NONE;
	struct stat image, out;
	int rc = -1;

	if (stat(path, &out) == 0 && fstat(plan->fd, &image) == 0 &&
	    image.st_dev == out.st_dev && image.st_ino == out.st_ino)
		return err_set(err, ERR_USAGE, "%s is the image itself", path);
	if (io_replaceable(AT_FDCWD, path, err) < 0)
		return -1;
	if (output_open(&output, path, (uint64_t)plan->gib << 30, err) < 0 ||
	    write_blocks(request, plan, output.fd, err) < 0 ||
	    output_finish(&output, err) < 0)
		goto out;
	if (check(request, plan, path, err) < 0)
		goto out;
	rc = request->blocks_out ? blocks_save(&plan->now, request->blocks_out, err) : 0;
out:
	output_abandon(&output);
	return rc;
}
