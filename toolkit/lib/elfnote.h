/* ELF notes: name, type and bytes, one after the other (ELF gABI, "Note Section"). */
#ifndef FVOL_ELFNOTE_H
#define FVOL_ELFNOTE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Finds the first note of that name and type in len bytes of notes, which may be hostile.
 * Returns its bytes, which stand in notes, and their number, or NULL.
 */
const char *elfnote_find(const char *notes, size_t len, const char *name, uint32_t type,
			 size_t *desc_len);

#endif
