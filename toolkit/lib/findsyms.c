#include "toolkit/lib/findsyms.h"

#include <ctype.h>
#include <string.h>

#include "toolkit/lib/le.h"
#include "toolkit/lib/pagewalk.h"

/* What a list may be long: a circle elsewhere ends. */
#define LIST_MAX 4096
#define NESTED_MAX 8
#define OFFSETS_MAX 48
/* Reads that go through page tables: a kernel takes 1,000. */
#define READS_MAX 20000
#define FOUND_MAX 48
/* Modules are loaded so near, for calls reach no further. */
#define MODULES_REACH (UINT64_C(1) << 31)

/* A member's place, looked up once: types are 100,000. */
struct offset {
	const char *path;
	uint64_t off;
	bool there;
};

struct finder {
	struct kernview *view;
	const struct btf *btf;
	const struct symtab *tab;
	const unsigned char *image;
	uint64_t va, len;
	struct offset offsets[OFFSETS_MAX];
	size_t offset_count;
	struct {
		const char *name;
		uint64_t addr;
	} found[FOUND_MAX];
	size_t found_count;
	size_t reads;
};

static bool in_image(const struct finder *f, uint64_t va)
{
	return va - f->va < f->len;
}

static bool known(const struct finder *f, const char *name, uint64_t *addr)
{
	const struct symtab_entry *entry = symtab_find(f->tab, name);

	if (entry) {
		*addr = entry->addr;
		return true;
	}
	for (size_t i = 0; i < f->found_count; i++) {
		*addr = f->found[i].addr;
		if (strcmp(f->found[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Notes a symbol that stands in the image, if there is none of that name. */
static void add(struct finder *f, const char *name, uint64_t addr)
{
	uint64_t other;

	if (!in_image(f, addr) || known(f, name, &other) || f->found_count == FOUND_MAX)
		return;
	f->found[f->found_count].name = name;
	f->found[f->found_count++].addr = addr;
}

static bool read_bytes(struct finder *f, uint64_t va, void *buf, size_t len)
{
	struct err ignored;

	if (!in_image(f, va) && f->reads++ >= READS_MAX)
		return false;
	return pagewalk_read(f->view, va, buf, len, &ignored) == 0;
}

static bool read_u64(struct finder *f, uint64_t va, uint64_t *value)
{
	unsigned char raw[8];

	if (!read_bytes(f, va, raw, sizeof(raw)))
		return false;
	*value = get_le(raw, sizeof(raw));
	return true;
}

static bool read_u32(struct finder *f, uint64_t va, uint32_t *value)
{
	unsigned char raw[4];

	if (!read_bytes(f, va, raw, sizeof(raw)))
		return false;
	*value = (uint32_t)get_le(raw, sizeof(raw));
	return true;
}

/* Where a member begins, in bytes; looks into anonymous ones too. */
static bool member_off(const struct btf *btf, uint32_t id, const char *name, int depth,
		       uint64_t *off)
{
	struct btf_type type = btf_type(btf, id);

	if ((type.kind != BTF_STRUCT && type.kind != BTF_UNION) || depth > NESTED_MAX)
		return false;
	for (uint32_t i = 0; i < type.vlen; i++) {
		struct btf_member member = btf_member(btf, &type, i);
		uint64_t inner = 0;

		if (member.name[0] ? strcmp(member.name, name) == 0
				   : member_off(btf, btf_strip(btf, member.type), name,
						depth + 1, &inner)) {
			*off = member.bit_off / 8 + inner;
			return true;
		}
	}
	return false;
}

static bool search_types(const struct btf *btf, const char *path, uint64_t *off)
{
	const char *dot = strchr(path, '.');
	size_t len = (size_t)(dot - path);

	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);

		if (type.kind == BTF_STRUCT && strlen(type.name) == len &&
		    memcmp(type.name, path, len) == 0 &&
		    member_off(btf, id, dot + 1, 0, off))
			return true;
	}
	return false;
}

/* Where "struct.member" begins. path is a string that stays. */
static bool off_of(struct finder *f, const char *path, uint64_t *off)
{
	struct offset *known = f->offsets, *end = f->offsets + f->offset_count;

	while (known < end && strcmp(known->path, path) != 0)
		known++;
	if (known == end) {
		struct offset fresh = { .path = path };

		fresh.there = search_types(f->btf, path, &fresh.off);
		/* Too many are only looked up again. */
		known = f->offset_count < OFFSETS_MAX ? &f->offsets[f->offset_count++]
						      : &f->offsets[OFFSETS_MAX - 1];
		*known = fresh;
	}
	*off = known->off;
	return known->there;
}

/* The u64 at a member of the structure at va. */
static bool member(struct finder *f, uint64_t va, const char *path, uint64_t *value)
{
	uint64_t off;

	return off_of(f, path, &off) && read_u64(f, va + off, value);
}

/* The pointer at a member, which must lead into the image. */
static bool points(struct finder *f, uint64_t va, const char *path, uint64_t *to)
{
	return member(f, va, path, to) && in_image(f, *to);
}

/* The next aligned word of that value from *at (in the image) on. */
static bool next_word(const struct finder *f, uint64_t value, uint64_t *at)
{
	for (; *at + 8 <= f->len; *at += 8)
		if (get_le(f->image + *at, 8) == value)
			return true;
	return false;
}

/* Do the neighbours of a list's node point back at it? */
static bool in_list(struct finder *f, uint64_t node)
{
	uint64_t next, prev, back, forth;

	return read_u64(f, node, &next) && read_u64(f, node + 8, &prev) &&
	       read_u64(f, next + 8, &back) && read_u64(f, prev, &forth) &&
	       back == node && forth == node;
}

/* The one node of a list, other than `node`, that is in the image: its head. */
static bool list_head(struct finder *f, uint64_t node, uint64_t *head)
{
	uint64_t at = node;

	if (!in_list(f, node))
		return false;
	for (size_t i = 0; i < LIST_MAX; i++) {
		if (!read_u64(f, at, &at) || at == node)
			return false;
		if (in_image(f, at)) {
			*head = at;
			return in_list(f, at);
		}
	}
	return false;
}

static bool is_init_task(struct finder *f, uint64_t task)
{
	static const char *const own[] = { "task_struct.parent",
					   "task_struct.real_parent",
					   "task_struct.group_leader" };
	uint64_t off, value, tasks;
	uint32_t pid, tgid;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!member(f, task, own[i], &value) || value != task)
			return false;
	if (!off_of(f, "task_struct.pid", &off) || !read_u32(f, task + off, &pid) ||
	    !off_of(f, "task_struct.tgid", &off) || !read_u32(f, task + off, &tgid) ||
	    !off_of(f, "task_struct.tasks", &tasks))
		return false;
	return !pid && !tgid && in_list(f, task + tasks);
}

/* By its name, "swapper/0" when a kernel runs. */
static bool find_init_task(struct finder *f, uint64_t *task)
{
	static const char name[] = "swapper/0";
	uint64_t comm;

	if (known(f, "init_task", task))
		return true;
	if (!off_of(f, "task_struct.comm", &comm))
		return false;
	for (uint64_t at = 0; at < f->len;) {
		const unsigned char *hit =
			memmem(f->image + at, (size_t)(f->len - at), name, sizeof(name));

		if (!hit)
			return false;
		at = (uint64_t)(hit - f->image) + 1;
		*task = f->va + at - 1 - comm;
		if (*task % 8 == 0 && in_image(f, *task) && is_init_task(f, *task)) {
			add(f, "init_task", *task);
			return true;
		}
	}
	return false;
}

/* What the first task owns is static, and so are the namespaces that it is in. */
static void find_of_task(struct finder *f, uint64_t task)
{
	uint64_t to, more, off, uts;
	uint32_t level;

	if (points(f, task, "task_struct.files", &to) &&
	    off_of(f, "files_struct.fdtab", &off) &&
	    member(f, to, "files_struct.fdt", &more) && more == to + off)
		add(f, "init_files", to);
	if (points(f, task, "task_struct.fs", &to))
		add(f, "init_fs", to);
	if (points(f, task, "task_struct.cred", &to) &&
	    points(f, to, "cred.user_ns", &more)) {
		add(f, "init_cred", to);
		add(f, "init_user_ns", more);
	}
	if (!points(f, task, "task_struct.nsproxy", &to) || !f->view->info ||
	    !vmcoreinfo_symbol(f->view->info, "init_uts_ns", &uts) ||
	    !member(f, to, "nsproxy.uts_ns", &more) || more != uts)
		return;
	add(f, "init_nsproxy", to);
	if (points(f, to, "nsproxy.pid_ns_for_children", &more) &&
	    off_of(f, "pid_namespace.level", &off) && read_u32(f, more + off, &level) &&
	    !level)
		add(f, "init_pid_ns", more);
	if (points(f, to, "nsproxy.net_ns", &more)) {
		add(f, "init_net", more);
		if (off_of(f, "net.list", &off) && list_head(f, more + off, &to))
			add(f, "net_namespace_list", to);
	}
}

/*
 * The kernel's own address space has its page tables, and its code begins at _stext. Its
 * brk is where the image ends: what was allocated behind it has copies of all values.
 */
static void find_init_mm(struct finder *f)
{
	uint64_t tables, off, code, brk;

	if (!f->view->info || !off_of(f, "mm_struct.pgd", &off) ||
	    !vmcoreinfo_symbol(f->view->info, "swapper_pg_dir", &tables))
		return;
	for (uint64_t at = 0; next_word(f, tables, &at); at += 8) {
		uint64_t base = f->va + at - off;

		if (member(f, base, "mm_struct.start_code", &code) &&
		    code == f->view->info->stext) {
			add(f, "init_mm", base);
			if (member(f, base, "mm_struct.brk", &brk) && brk > base &&
			    in_image(f, brk))
				f->len = brk - f->va;
			return;
		}
	}
}

/* Is there a module whose member list is at node? It says so itself: mkobj.mod. */
static bool is_module(struct finder *f, uint64_t node, uint64_t *module)
{
	unsigned char name[2];
	uint64_t list, mkobj, mod, self, name_off;

	if (!off_of(f, "module.list", &list) || !off_of(f, "module.mkobj", &mkobj) ||
	    !off_of(f, "module_kobject.mod", &mod) ||
	    !off_of(f, "module.name", &name_off))
		return false;
	*module = node - list;
	return read_u64(f, *module + mkobj + mod, &self) && self == *module &&
	       read_bytes(f, *module + name_off, name, sizeof(name)) && isgraph(name[0]);
}

/*
 * modules: the head of a list whose first node is a module's. And module_kset: the only
 * variable that has the value that a module's kobject has for its set.
 */
static void find_modules(struct finder *f)
{
	uint64_t module = 0, kobj, kset, value, at = 0, other;

	if (known(f, "modules", &value))
		return;
	for (uint64_t i = 0; i + 16 <= f->len; i += 8) {
		uint64_t next = get_le(f->image + i, 8);

		/* Modules are outside of the image, and their list's two ends too. */
		if (!(next >> 63) || in_image(f, next) || next % 8 ||
		    !(get_le(f->image + i + 8, 8) >> 63) ||
		    next - f->va + MODULES_REACH >= 2 * MODULES_REACH ||
		    !is_module(f, next, &module) || !in_list(f, f->va + i))
			continue;
		add(f, "modules", f->va + i);
		break;
	}
	if (!known(f, "modules", &value) || !off_of(f, "module.mkobj", &kobj) ||
	    !member(f, module + kobj, "kobject.kset", &kset) || !next_word(f, kset, &at))
		return;
	other = at + 8;
	if (!next_word(f, kset, &other))
		add(f, "module_kset", f->va + at);
}

/* The root of the resources: all addresses, and named "PCI mem". */
static void find_iomem(struct finder *f)
{
	static const char name[] = "\0PCI mem";
	uint64_t name_off, from = 0;

	if (!off_of(f, "resource.name", &name_off))
		return;
	while (from < f->len) {
		const unsigned char *hit = memmem(
			f->image + from, (size_t)(f->len - from), name, sizeof(name));

		if (!hit)
			return;
		from = (uint64_t)(hit - f->image) + 1;
		for (uint64_t at = 0; next_word(f, f->va + from, &at); at += 8) {
			uint64_t base = f->va + at - name_off, start, end;

			if (member(f, base, "resource.start", &start) && !start &&
			    member(f, base, "resource.end", &end) && end >= UINT32_MAX) {
				add(f, "iomem_resource", base);
				return;
			}
		}
	}
}

/* A table of functions: its members point at code that has symbols. */
struct operations {
	const char *name;
	const char *members[3]; /* "struct.member", then the function, by turns */
	const char *functions[3];
};

static const struct operations operations[] = {
	{ "socket_file_ops",
	  { "file_operations.poll", "file_operations.release", "file_operations.mmap" },
	  { "sock_poll", "sock_close", "sock_mmap" } },
	{ "sockfs_dentry_operations",
	  { "dentry_operations.d_dname", NULL, NULL },
	  { "sockfs_dname", NULL, NULL } },
};

static void find_operations(struct finder *f, const struct operations *ops)
{
	uint64_t function, off, value, wanted;

	if (!known(f, ops->functions[0], &function) || !off_of(f, ops->members[0], &off))
		return;
	for (uint64_t at = 0; next_word(f, function, &at); at += 8) {
		uint64_t base = f->va + at - off;
		bool fits = true;

		for (size_t i = 1; i < 3 && ops->members[i]; i++)
			fits = fits && known(f, ops->functions[i], &wanted) &&
			       member(f, base, ops->members[i], &value) &&
			       value == wanted;
		if (fits) {
			add(f, ops->name, base);
			return;
		}
	}
}

/* SYMBOL(name)=address of what VMCOREINFO has and stands in the image. */
static void take_told(struct finder *f)
{
	/* x86_64's swapper_pg_dir is a macro for init_top_pgt, which is told too. */
	static const char *const names[] = { "init_uts_ns", "init_top_pgt",   "prb",
					     "clear_seq",   "vmap_area_list", NULL };
	uint64_t addr;

	for (size_t i = 0; f->view->info && names[i]; i++)
		if (vmcoreinfo_symbol(f->view->info, names[i], &addr))
			add(f, names[i], addr);
	if (f->view->info && f->view->machine == VMCOREINFO_AARCH64 &&
	    vmcoreinfo_symbol(f->view->info, "swapper_pg_dir", &addr))
		add(f, "swapper_pg_dir", addr);
}

int findsyms_add(struct kernview *view, const struct btf *btf, struct symtab *tab,
		 size_t *added, struct err *err)
{
	struct finder f = { .view = view, .btf = btf, .tab = tab };
	uint64_t task;

	if (kernview_load(view, err) < 0)
		return -1;
	f.image = view->segments[0].data;
	f.va = view->segments[0].va;
	f.len = view->segments[0].len_bytes;
	symtab_sort(tab);
	take_told(&f);
	find_init_mm(&f);
	if (find_init_task(&f, &task))
		find_of_task(&f, task);
	find_modules(&f);
	find_iomem(&f);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		find_operations(&f, &operations[i]);
	for (size_t i = 0; i < f.found_count; i++)
		if (symtab_add(tab, f.found[i].name, strlen(f.found[i].name),
			       f.found[i].addr, 'D', err) < 0)
			return -1;
	symtab_sort(tab);
	*added = f.found_count;
	return 0;
}
