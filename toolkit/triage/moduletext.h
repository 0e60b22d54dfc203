/* What the kernel's tables say of modules and hooks: readers of single lines. */
#ifndef FVOL_TRIAGE_MODULETEXT_H
#define FVOL_TRIAGE_MODULETEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Each takes a line ended by a NUL, in which it puts NULs, and returns false when the
 * line is not of the form; the texts given back lie in the line.
 */

/* /proc/modules (kernel/module/procfs.c, m_show()). */
struct module_line {
	const char *name;
	uint64_t size, references;
	bool has_references; /* "-": the kernel unloads none */
	char *used_by;	     /* "a,b," or NULL */
	const char *state;   /* Live, Loading, Unloading */
	uint64_t address;    /* 0: hidden */
	const char *taint;   /* letters, "" when none */
};
bool module_line_read(char *line, struct module_line *out);

/*
 * The module of a symbol in /proc/kallsyms, "…\t[name]", in *len bytes of the line; NULL
 * when it is of none, and for what only looks like one (bpf, __builtin__ftrace).
 */
const char *kallsyms_line_module(const char *line, size_t len_bytes, size_t *len);

/* /proc/vmallocinfo (mm/vmalloc.c, s_show()). */
struct vmalloc_line {
	uint64_t start, end, size;
	const char *caller; /* name of the function; "" when not said */
	bool hashed;	    /* start and end are not addresses: %pK hid them */
};
bool vmalloc_line_read(char *line, struct vmalloc_line *out);
/* Is such a region the memory of a module? */
bool vmalloc_caller_is_module(const char *caller);

/* enabled_functions of tracefs (kernel/trace/ftrace.c, t_show()). */
struct ftrace_line {
	const char *function; /* NULL: the line goes on with the function before */
	const char *module;   /* that the function is in, or NULL */
	/* Who is called: symbols, or addresses where no symbol is known. */
	const char *handlers[8];
	size_t handler_count;
};
bool ftrace_line_read(char *line, struct ftrace_line *out);
/*
 * Whose is a handler ("name+0x0/0x10 [module]", "0xffffffffc0a01000")? Returns the module
 * in *len bytes; or NULL, and *unknown says whether it is an address without a name.
 */
const char *ftrace_handler_module(const char *handler, size_t *len, bool *unknown);

/* kprobes/list of debugfs (kernel/kprobes.c, report_probe()). */
struct kprobe_line {
	uint64_t address;
	const char *kind;   /* k, r, j */
	const char *symbol; /* with the offset */
	const char *module; /* or NULL */
	bool disabled, gone, optimised, ftrace;
};
bool kprobe_line_read(char *line, struct kprobe_line *out);

/* A record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg), its first line. */
struct log_line {
	uint64_t sequence, us; /* since boot */
	bool of_kernel;	       /* not written by a program */
	const char *text;
};
bool log_line_read(char *line, struct log_line *out);
/*
 * "NAME: loading out-of-tree module taints kernel." and its like (kernel/module/main.c):
 * the module in *len bytes of the text, and *taint, a bit of /proc/sys/kernel/tainted;
 * NULL for any other text.
 */
const char *log_text_module(const char *text, size_t *len, unsigned *taint);

#endif
