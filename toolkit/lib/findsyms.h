/*
 * Symbols of data that a kernel's own table lacks (without CONFIG_KALLSYMS_ALL it has
 * code only): found by what must stand in them, at the offsets that the kernel's types
 * (BTF) tell, and by what points to them. One is added only when that holds; nothing is
 * guessed.
 */
#ifndef FVOL_FINDSYMS_H
#define FVOL_FINDSYMS_H

#include "toolkit/lib/btf.h"
#include "toolkit/lib/kernview.h"
#include "toolkit/lib/symtab.h"

/*
 * Adds what is found and not in tab yet: init_task, its files, fs, cred, nsproxy and
 * mm, the initial namespaces, net_namespace_list, modules and module_kset (when a module
 * is loaded), iomem_resource, the operations of sockets, and whatever of the image
 * VMCOREINFO names. tab is sorted before and after. Loads the image. Returns 0 and how
 * many were found, or -1 when memory is short.
 */
int findsyms_add(struct kernview *view, const struct btf *btf, struct symtab *tab,
		 size_t *added, struct err *err);

/*
 * Adds those symbols of data that modules may use, from the kernel's own table of them
 * (__ksymtab), which a kernel's file has too: init_task and init_net are among them,
 * init_files is not. As findsyms_add().
 */
int findsyms_exported(struct kernview *view, struct symtab *tab, size_t *added,
		      struct err *err);

#endif
