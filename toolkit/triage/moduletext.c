#include "toolkit/triage/moduletext.h"

#include <string.h>

#include "toolkit/triage/textlines.h"

/* "name 16384 1 user,other, Live 0xffffffffc0a01000 (OE)" */
bool module_line_read(char *line, struct module_line *out)
{
	char *size, *references, *used_by, *address, *taint, *end;

	*out = (struct module_line){ .name = textlines_word(&line) };
	size = textlines_word(&line);
	references = textlines_word(&line);
	used_by = textlines_word(&line);
	out->state = textlines_word(&line);
	address = textlines_word(&line);
	if (!address || !textlines_decimal(size, &out->size) ||
	    !textlines_hex(address, &out->address))
		return false;
	out->has_references = strcmp(references, "-") != 0;
	if (out->has_references && !textlines_decimal(references, &out->references))
		return false;
	if (strcmp(used_by, "-") != 0)
		out->used_by = used_by;
	out->taint = "";
	taint = textlines_word(&line);
	if (taint && *taint == '(') {
		end = strchr(taint, ')');
		if (!end)
			return false;
		*end = '\0';
		out->taint = taint + 1;
	}
	return true;
}

static bool starts(const char *text, size_t len, const char *with)
{
	size_t need = strlen(with);

	return len >= need && memcmp(text, with, need) == 0;
}

const char *kallsyms_line_module(const char *line, size_t len_bytes, size_t *len)
{
	const char *open = memchr(line, '[', len_bytes);

	if (!open || open == line || open[-1] != '\t' || line[len_bytes - 1] != ']')
		return NULL;
	open++;
	*len = (size_t)(line + len_bytes - 1 - open);
	if (!*len || starts(open, *len, "__builtin__") ||
	    (*len == 3 && memcmp(open, "bpf", 3) == 0))
		return NULL;
	return open;
}

/* "0xffffffffc0200000-0xffffffffc0208000   32768 move_module+0x23/0x180 pages=7 …" */
bool vmalloc_line_read(char *line, struct vmalloc_line *out)
{
	char *range = textlines_word(&line), *size = textlines_word(&line), *end, *caller;

	*out = (struct vmalloc_line){ .caller = "" };
	if (!size || !(end = strchr(range, '-')))
		return false;
	*end++ = '\0';
	if (!textlines_hex(range, &out->start) || !textlines_hex(end, &out->end) ||
	    !textlines_decimal(size, &out->size))
		return false;
	out->hashed = out->end - out->start != out->size;
	caller = textlines_word(&line);
	if (caller && strchr(caller, '+')) {
		*strchr(caller, '+') = '\0';
		out->caller = caller;
	}
	return true;
}

bool vmalloc_caller_is_module(const char *caller)
{
	/* Who calls module_alloc() for a module, as inlining has it; not the JIT of BPF,
	 * kprobes and ftrace, which take executable memory by the same function. */
	static const char *const callers[] = { "move_module", "load_module",
					       "layout_and_allocate",
					       "module_memory_alloc" };

	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		size_t len = strlen(callers[i]);

		/* "load_module.constprop.0" is one as well. */
		if (strncmp(caller, callers[i], len) == 0 &&
		    (!caller[len] || caller[len] == '.'))
			return true;
	}
	return false;
}

static void add_handler(struct ftrace_line *out, const char *handler)
{
	if (*handler && out->handler_count < sizeof(out->handlers) / sizeof(char *))
		out->handlers[out->handler_count++] = handler;
}

/*
 * "tcp_v4_rcv [mod] (1) R I   M 	tramp: 0xffffffffc0a7f000 (hook+0x0/0x40 [rk])
 * ->list+0x0/0x10" and, on lines of their own, "
 * direct-->bpf_trampoline_644+0x0/0x1000".
 */
static void find_handlers(char *at, struct ftrace_line *out)
{
	char *end;

	for (;;) {
		char *arrow = strstr(at, "->"), *open = strchr(at, '(');

		if (open && (!arrow || open < arrow)) {
			at = open + 1;
			end = strchr(at, ')');
			if (!end)
				return;
		} else if (arrow) {
			at = arrow + 2;
			end = at + strcspn(at, "\t");
		} else {
			return;
		}
		if (!*end) {
			add_handler(out, at);
			return;
		}
		*end = '\0';
		add_handler(out, at);
		at = end + 1;
	}
}

bool ftrace_line_read(char *line, struct ftrace_line *out)
{
	char *count, *end, *module;

	*out = (struct ftrace_line){ 0 };
	if (*line == '\t') {
		find_handlers(line, out);
		return out->handler_count > 0;
	}
	/* The count of who wants it comes first in brackets. */
	count = strstr(line, " (");
	if (!count)
		return false;
	*count = '\0';
	count += 2;
	end = count + strspn(count, "0123456789");
	if (end == count || *end != ')')
		return false;
	out->function = textlines_word(&line);
	if (!out->function)
		return false;
	module = textlines_word(&line);
	if (module && *module == '[' && module[strlen(module) - 1] == ']' && module[2]) {
		module[strlen(module) - 1] = '\0';
		out->module = module + 1;
	}
	find_handlers(end + 1, out);
	return true;
}

const char *ftrace_handler_module(const char *handler, size_t *len, bool *unknown)
{
	const char *open = strchr(handler, '['), *close;

	*unknown = handler[0] == '0' && handler[1] == 'x';
	if (!open || *unknown)
		return NULL;
	/* "[mod]", and "[mod buildid]" where the kernel tells it. */
	close = open + 1 + strcspn(open + 1, "] ");
	*len = (size_t)(close - open - 1);
	if (!*len || (*len == 3 && memcmp(open + 1, "bpf", 3) == 0) ||
	    starts(open + 1, *len, "__builtin__"))
		return NULL;
	return open + 1;
}

/* "ffffffff81a2b3c0  k  vfs_read+0x0  [mod]  [DISABLED][FTRACE]" */
bool kprobe_line_read(char *line, struct kprobe_line *out)
{
	char *address = textlines_word(&line), *word;

	*out = (struct kprobe_line){ .kind = textlines_word(&line) };
	out->symbol = textlines_word(&line);
	if (!out->symbol || !textlines_hex(address, &out->address))
		return false;
	while ((word = textlines_word(&line))) {
		size_t len = strlen(word);
		bool flag =
			strncmp(word, "[DIS", 4) == 0 || strncmp(word, "[GON", 4) == 0 ||
			strncmp(word, "[OPT", 4) == 0 || strncmp(word, "[FTR", 4) == 0;

		out->disabled |= strstr(word, "[DISABLED]") != NULL;
		out->gone |= strstr(word, "[GONE]") != NULL;
		out->optimised |= strstr(word, "[OPTIMIZED]") != NULL;
		out->ftrace |= strstr(word, "[FTRACE]") != NULL;
		if (!flag && !out->module && len > 2 && word[0] == '[' &&
		    word[len - 1] == ']') {
			word[len - 1] = '\0';
			out->module = word + 1;
		}
	}
	return true;
}

/* "4,517,8123456,-;text" or "4,517,8123456,-,caller=T1;text" */
bool log_line_read(char *line, struct log_line *out)
{
	char *text = strchr(line, ';'), *at = line, *comma;
	uint64_t numbers[3];

	if (!text)
		return false;
	*text++ = '\0';
	for (size_t i = 0; i < 3; i++) {
		comma = strchr(at, ',');
		if (!comma)
			return false;
		*comma = '\0';
		if (!textlines_decimal(at, &numbers[i]))
			return false;
		at = comma + 1;
	}
	/* Above the three bits of the level stands who wrote it; 0 nobody else can. */
	*out = (struct log_line){ .sequence = numbers[1],
				  .us = numbers[2],
				  .of_kernel = numbers[0] >> 3 == 0,
				  .text = text };
	return true;
}

const char *log_text_module(const char *text, size_t *len, unsigned *taint)
{
	static const struct {
		const char *begin, *end;
		unsigned taint;
	} said[] = {
		{ "module license '", "' taints kernel.", 0 },
		{ "", ": kernel tainted.", 1 },
		{ "module is from the staging directory", "", 10 },
		{ "loading out-of-tree module taints kernel.", "", 12 },
		{ "module verification failed: ", "tainting kernel", 13 },
		{ "tainting kernel with TAINT_LIVEPATCH", "", 15 },
		{ "loading test module taints kernel.", "", 18 },
	};
	const char *colon = strstr(text, ": "), *what;
	size_t what_len;

	if (!colon || colon == text || colon - text > 55)
		return NULL;
	*len = (size_t)(colon - text);
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
			 "-.") != *len)
		return NULL;
	what = colon + 2;
	what_len = strlen(what);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		size_t end = strlen(said[i].end);

		if (starts(what, what_len, said[i].begin) &&
		    what_len >= strlen(said[i].begin) + end &&
		    memcmp(what + what_len - end, said[i].end, end) == 0) {
			*taint = said[i].taint;
			return text;
		}
	}
	return NULL;
}
