/*
 * Variables that a kernel exports to its modules, by the table that insmod resolves them
 * with (__ksymtab). Kernels without CONFIG_KALLSYMS_ALL, as Debian's 6.1 for arm64, have
 * no variables in kallsyms; of those that analysis begins with some stand here.
 */
#ifndef FVOL_KSYMTAB_H
#define FVOL_KSYMTAB_H

#include <stddef.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/kernview.h"
#include "toolkit/lib/symtab.h"

#define KSYMTAB_NAMES_MAX 128

/*
 * Adds those of names (count at most KSYMTAB_NAMES_MAX) that tab, sorted, has not yet and
 * the image exports, as nm's 'D'. An entry is believed when it stands in a row of entries
 * and no other one gives the name another address. Needs struct kernel_symbol with
 * relative offsets (x86_64 and arm64 since 4.19). The image may be hostile. tab is sorted
 * again. Returns 0 or -1.
 */
int ksymtab_add(const struct kernview *view, const char *const *names, size_t count,
		struct symtab *tab, struct err *err);

#endif
