#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/lib/dumpsyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Any bytes as VMCOREINFO: numbers and short words, or a sentence. */
static void text(const uint8_t *data, size_t len)
{
	static struct vmcoreinfo info;
	struct err err = { 0 };
	uint64_t value;

	if (vmcoreinfo_parse(&info, (const char *)data, len, &err) < 0) {
		if (!err.text[0])
			abort();
		return;
	}
	if (!info.release[0] || strlen(info.release) > VMCOREINFO_RELEASE_MAX ||
	    strlen(info.build_id) > VMCOREINFO_BUILD_ID_MAX)
		abort();
	vmcoreinfo_symbol(&info, "kallsyms_names", &value);
	vmcoreinfo_number(&info, "OFFSET(list_head.prev)", &value);
}

/* Any bytes as an image of memory: a kernel whose banner has its release; or a sentence.
 */
static void image(const uint8_t *data, size_t len, const struct decoder_ops *ops)
{
	static struct dumpsyms syms;
	static int fd = -1;
	struct err err = { 0 };

	if (fd < 0)
		fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
		abort();
	if (dumpsyms_open(&syms, fd, ops, &err) < 0) {
		if (!err.text[0])
			abort();
	} else if (!strstr(syms.banner, syms.info.release) || !syms.symbols.count) {
		abort();
	}
	dumpsyms_close(&syms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct decoder_ops *ops = decoder_recognise(data, len);

	if (len < 8192)
		text(data, len);
	if (len >= 4096)
		image(data, len, ops ? ops : decoder_find("raw"));
	return 0;
}
