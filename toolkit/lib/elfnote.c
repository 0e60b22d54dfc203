#include "toolkit/lib/elfnote.h"

#include <elf.h>
#include <string.h>

const char *elfnote_find(const char *notes, size_t len, const char *name, uint32_t type,
			 size_t *desc_len)
{
	size_t name_size = strlen(name) + 1, at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr head;
		size_t padded_name, padded_desc;

		memcpy(&head, notes + at, sizeof(head));
		padded_name = ((size_t)head.n_namesz + 3) / 4 * 4;
		padded_desc = ((size_t)head.n_descsz + 3) / 4 * 4;
		at += sizeof(head);
		if (padded_name > len - at || padded_desc > len - at - padded_name)
			return NULL;
		if (head.n_type == type && head.n_namesz == name_size &&
		    memcmp(notes + at, name, name_size) == 0) {
			*desc_len = head.n_descsz;
			return notes + at + padded_name;
		}
		at += padded_name + padded_desc;
	}
	return NULL;
}
