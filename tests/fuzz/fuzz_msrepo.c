#include <stdlib.h>
#include <string.h>

#include "kmods/msrepo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Both texts of a repository: what is taken can be used, and written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	struct msrepo_list list;
	struct msrepo repo, again;
	struct err err = { 0 };

	if (msrepo_read_top(text, len, &list, &err) < 0) {
		if (err.kind != ERR_FAILED || err.text[0] == '\0')
			abort();
	} else if (!list.location[0] || strlen(list.sha256) != SHA256_HEX_SIZE - 1 ||
		   strlen(list.open_sha256) != SHA256_HEX_SIZE - 1) {
		abort();
	}
	err.text[0] = '\0';
	if (msrepo_read_list(text, len, &repo, &err) < 0) {
		if (err.kind != ERR_FAILED || err.text[0] == '\0')
			abort();
		msrepo_free(&repo);
		return 0;
	}
	for (size_t i = 0; i < repo.count; i++) {
		struct msrepo_module *m = &repo.modules[i];

		if (!release_is_plain(m->release) || !m->location[0])
			abort();
		/* The writer takes names of this program's making. */
		strcpy(m->location, "modules/x.ko");
		strcpy(m->arch, "x86_64");
	}
	if (repo.count > 0) {
		size_t written;
		char *out = msrepo_write_list(&repo, &written, &err);

		if (!out || msrepo_read_list(out, written, &again, &err) < 0 ||
		    again.count != repo.count)
			abort();
		msrepo_free(&again);
		free(out);
	}
	msrepo_free(&repo);
	return 0;
}
