/* The modules that the kernel shows, by each of its views: what one view hides another
 * may still show. */
#ifndef FVOL_TRIAGE_MODULEVIEWS_H
#define FVOL_TRIAGE_MODULEVIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/triage/triage.h"

enum {
	MODULE_VIEW_PROC = 1,	  /* /proc/modules */
	MODULE_VIEW_SYSFS = 2,	  /* /sys/module/NAME/initstate says live */
	MODULE_VIEW_KALLSYMS = 4, /* has symbols in /proc/kallsyms */
	MODULE_VIEW_FTRACE = 8,	  /* is hooked, or hooks */
	MODULE_VIEW_VMALLOC = 16, /* has memory in /proc/vmallocinfo */
};
#define MODULE_VIEWS 5
extern const char *const module_view_names[MODULE_VIEWS];

/* Names are of MODULE_NAME_LEN, 56 bytes, at most (include/linux/module.h). */
#define MODULE_NAME_SIZE 64

struct module_seen {
	char name[MODULE_NAME_SIZE];
	uint8_t views;
	bool has_references, coming;
	char state[12], taint[20];
	uint64_t size, references, address;
	char *used_by;
};

struct module_views {
	struct module_seen *seen;
	size_t count, room;
	uint8_t readable; /* views that could be read whole */
	bool failed;	  /* memory ran out, or there were too many */
};

/* The module of that name, added when it is not known; NULL when it cannot be kept. */
struct module_seen *module_views_add(struct module_views *views, const char *name,
				     size_t len_bytes, uint8_t view);
struct module_seen *module_views_find(const struct module_views *views, const char *name,
				      size_t len_bytes);
void module_views_free(struct module_views *views);

/* Read one view each. What cannot be read is emitted as `unread`. 0, or -1 with err. */
int module_views_proc(struct triage *t, struct module_views *views, struct err *err);
int module_views_sysfs(struct triage *t, struct module_views *views, struct err *err);

/*
 * Begins to read /proc/kallsyms below procfd in a thread. Ended, waited for and freed by
 * module_symbols_end(), which takes NULL as well: then memory ran out; or by
 * module_symbols_free() when nobody asks any more.
 */
struct module_symbols *module_symbols_begin(int procfd);
int module_symbols_end(struct triage *t, struct module_symbols *symbols,
		       struct module_views *views, struct err *err);
void module_symbols_free(struct module_symbols *symbols);

/*
 * Memory of modules that holds nothing of any module of views: emits the finding
 * hidden_module for it. 0, or -1 with err.
 */
int module_memory(struct triage *t, struct module_views *views, struct err *err);

/* Hooks by ftrace and kprobes: arrays of the record `kernel`, and findings. Modules that
 * appear in them are added to views. 0, or -1 with err. */
int kernel_hooks(struct triage *t, struct module_views *views, struct json *doc,
		 struct err *err);
/*
 * The modules that the kernel's log says have tainted it, and that no view shows (or
 * whose taint is gone): a lead for each. *kernel gets how much of the log is gone. 0, or
 * -1 with err.
 */
int module_log(struct triage *t, const struct module_views *views, struct json *kernel,
	       struct err *err);
/* Bits of /proc/sys/kernel/tainted; false with errno. Their names; NULL: none is known.
 */
bool kernel_taint(const struct triage *t, uint64_t *bits);
const char *kernel_taint_name(unsigned bit);
/* The rest of the record `kernel`, and its findings. */
int kernel_state(struct triage *t, const struct module_views *views, struct json *doc,
		 struct err *err);

#endif
