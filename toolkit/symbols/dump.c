#include <fcntl.h>
#include <string.h>

#include "toolkit/lib/dumpsyms.h"
#include "toolkit/lib/io.h"
#include "toolkit/symbols/symbols.h"

/* The symbols change hands; types and banner stay where they are. */
static int take_parts(struct dumpsyms *found, struct symbolfile_parts *parts,
		      struct err *err)
{
	parts->symbols = found->symbols;
	found->symbols = (struct symtab){ 0 };
	parts->btf = found->btf;
	parts->btf_len = found->btf_len;
	return symbolfile_from_told(parts, &found->info, found->banner,
				    strnlen(found->banner, sizeof(found->banner)), err);
}

int load_dump(const char *image, const char *format, struct loaded *loaded,
	      struct err *err)
{
	const struct decoder_ops *ops = format ? decoder_find(format) : NULL;
	static struct dumpsyms found;
	int fd, rc;

	if (format && !ops)
		return err_set(err, ERR_USAGE, "--format: there is no format %.64s",
			       format);
	fd = io_open_direct(AT_FDCWD, image, true, err);
	if (fd < 0)
		return -1;
	rc = dumpsyms_open(&found, fd, ops, err);
	if (rc == 0)
		rc = take_parts(&found, &loaded->parts, err);
	if (rc == 0) {
		loaded->files[loaded->files_count++] = (char *)found.btf;
		found.btf = NULL;
	}
	dumpsyms_close(&found);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%.200s", image) : 0;
}
