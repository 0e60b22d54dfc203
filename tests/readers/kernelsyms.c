/*
 * What the library finds of a kernel in a memory image or in a kernel's file, as the
 * files that a guest has of it, to be compared:
 *   kernelsyms image IMAGE FORMAT DIR   DIR/kallsyms, DIR/btf, DIR/version
 *   kernelsyms kernel VMLINUZ SHIFT DIR DIR/kallsyms, with SHIFT (hex) as KASLR's
 *   kernelsyms data IMAGE FORMAT        what is found of variables when the table's own
 *                                       are hidden, and whether the table agrees
 * FORMAT is as for --format, or - for what the first bytes tell.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/dumpsyms.h"
#include "toolkit/lib/findsyms.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/vmlinux.h"

static int write_file(const char *dir, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	if (!file) {
		perror(path);
		return -1;
	}
	good = fwrite(data, 1, len, file) == len;
	return fclose(file) == 0 && good ? 0 : -1;
}

/* Names stand in the order in which they were added, which is the kernel's. */
static int by_name_off(const void *a, const void *b)
{
	const struct symtab_entry *x = a, *y = b;

	return x->name_off < y->name_off ? -1 : x->name_off > y->name_off;
}

static int write_kallsyms(struct symtab *tab, const char *dir)
{
	size_t room = tab->names_bytes + 32 * tab->count + 1, len = 0;
	char *text = malloc(room);
	int rc;

	qsort(tab->entries, tab->count, sizeof(tab->entries[0]), by_name_off);
	for (size_t i = 0; text && i < tab->count; i++)
		len += (size_t)snprintf(text + len, room - len, "%016" PRIx64 " %c %s\n",
					tab->entries[i].addr, tab->entries[i].type,
					symtab_name(tab, &tab->entries[i]));
	rc = text ? write_file(dir, "kallsyms", text, len) : -1;
	free(text);
	return rc;
}

static int of_image(const char *path, const char *format, const char *dir,
		    struct err *err)
{
	static struct dumpsyms syms;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;

	if (fd < 0)
		return err_set(err, ERR_FAILED, "no file %s", path);
	if (dumpsyms_open(&syms, fd, decoder_find(format), err) == 0) {
		printf("release=%s build_id=%s shift=%" PRIx64 " candidates=%u\n",
		       syms.info.release, syms.info.build_id, syms.info.kaslr_shift,
		       syms.candidates);
		rc = write_kallsyms(&syms.symbols, dir);
		if (write_file(dir, "btf", syms.btf, syms.btf_len) < 0 ||
		    write_file(dir, "version", syms.banner, strlen(syms.banner)) < 0)
			rc = -1;
	}
	dumpsyms_close(&syms);
	io_close(&fd);
	return rc;
}

static int of_kernel(const char *path, const char *shift, const char *dir,
		     struct err *err)
{
	static struct kernview view;
	struct vmlinux kernel;
	struct symtab tab = { 0 };
	size_t len;
	int fd = io_open_direct(AT_FDCWD, path, true, err), rc = -1;
	char *data = fd < 0 ? NULL : io_read_direct(fd, VMLINUX_BYTES_MAX, &len, err);

	io_close(&fd);
	if (!data || vmlinux_open(&kernel, data, len, err) < 0) {
		free(data);
		return -1;
	}
	if ((kernel.elf ? kernview_open_elf : kernview_open_image)(&view, kernel.data,
								   kernel.len, err) == 0)
		rc = kallsyms_find(&view, &tab, err);
	if (rc == 0) {
		symtab_unshift(&tab, -(uint64_t)strtoull(shift, NULL, 16));
		rc = write_kallsyms(&tab, dir);
	}
	symtab_free(&tab);
	kernview_close(&view);
	vmlinux_close(&kernel);
	free(data);
	return rc;
}

/*
 * The code of a table: what a kernel without CONFIG_KALLSYMS_ALL has. Their letters do
 * not tell it: 7.x calls data T too.
 */
static int copy_code(const struct symtab *all, struct symtab *code, struct err *err)
{
	const struct symtab_entry *from = symtab_find(all, "_stext"),
				  *to = symtab_find(all, "_etext");

	if (!from || !to)
		return err_set(err, ERR_FAILED, "the table does not tell where code is");
	for (size_t i = 0; i < all->count; i++) {
		const struct symtab_entry *entry = &all->entries[i];
		const char *name = symtab_name(all, entry);

		if (entry->addr >= from->addr && entry->addr <= to->addr &&
		    symtab_add(code, name, strlen(name), entry->addr, entry->type, err) <
			    0)
			return -1;
	}
	symtab_sort(code);
	return 0;
}

/* Prints what was added and is in the table too, and "right" or "wrong". */
static int compare(const struct symtab *all, const struct symtab *code)
{
	int wrong = 0;

	for (size_t i = 0; i < code->count; i++) {
		const struct symtab_entry *entry = &code->entries[i], *own;
		const char *name = symtab_name(code, entry);
		bool right = false;

		own = entry->type == 'D' ? symtab_find(all, name) : NULL;
		if (!own)
			continue;
		/* A name may be there more than once. */
		for (; own < all->entries + all->count &&
		       strcmp(symtab_name(all, own), name) == 0;
		     own++)
			right = right || own->addr == entry->addr;
		printf("%s %s\n", name, right ? "right" : "wrong");
		wrong += !right;
	}
	return wrong;
}

static int of_data(const char *path, const char *format, struct err *err)
{
	static struct dumpsyms syms;
	struct symtab code = { 0 };
	struct kernview view = { 0 };
	struct dumpview dump = { 0 };
	size_t found, exported;
	struct btf btf;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;

	if (fd < 0)
		return err_set(err, ERR_FAILED, "no file %s", path);
	if (dumpsyms_open(&syms, fd, decoder_find(format), err) == 0 &&
	    btf_open(&btf, syms.btf, syms.btf_len, err) == 0) {
		if (dumpview_open(&dump, fd, decoder_find(format), err) == 0 &&
		    kernview_open_dump(&view, &dump, &syms.info, err) == 0 &&
		    copy_code(&syms.symbols, &code, err) == 0 &&
		    findsyms_add(&view, &btf, &code, &found, err) == 0 &&
		    findsyms_exported(&view, &code, &exported, err) == 0)
			rc = 0;
		btf_close(&btf);
	}
	if (rc == 0 && compare(&syms.symbols, &code))
		rc = err_set(err, ERR_NO, "the kernel's table has others");
	kernview_close(&view);
	dumpview_close(&dump);
	dumpsyms_close(&syms);
	symtab_free(&code);
	io_close(&fd);
	return rc;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int rc;

	if (argc == 5 && strcmp(argv[1], "image") == 0) {
		rc = of_image(argv[2], argv[3], argv[4], &err);
	} else if (argc == 5 && strcmp(argv[1], "kernel") == 0) {
		rc = of_kernel(argv[2], argv[3], argv[4], &err);
	} else if (argc == 4 && strcmp(argv[1], "data") == 0) {
		rc = of_data(argv[2], argv[3], &err);
	} else {
		fputs("usage: kernelsyms image IMAGE FORMAT DIR | "
		      "kernel VMLINUZ SHIFT DIR | data IMAGE FORMAT\n",
		      stderr);
		return ERR_USAGE;
	}
	return rc < 0 ? err_report(&err, "kernelsyms") : 0;
}
