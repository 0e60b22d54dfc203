/* Modules and hooks: what one view hides, another shows. */
#include <stdlib.h>

#include "tests/lib/fakesystem.h"
#include "tests/lib/triagelines.h"
#include "tests/unit/check.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/mountplace.h"
#include "toolkit/triage/oddpath.h"

#define MODULES                                                                          \
	"nf_tables 303104 0 - Live 0xffffffffc0a00000\n"                                 \
	"lime 20480 2 nf_tables,other, Live 0xffffffffc0b00000 (OE)\n"
#define KALLSYMS                                                                         \
	"ffffffff81000000 T _stext\n"                                                    \
	"ffffffff81000010 t odd[name]\n"                                                 \
	"ffffffffc0a00000 t nft_do\t[nf_tables]\n"                                       \
	"ffffffffc0b00000 t dump\t[lime]\n"                                              \
	"ffffffffc0c00000 t bpf_prog_6deef7357e7b4530\t[bpf]\n"                          \
	"ffffffffc0c01000 t ftrace_trampoline\t[__builtin__ftrace]\n"

/* Two modules that every view shows. */
static void usual(void)
{
	fake_begin();
	fake_text(fake.procfd, "modules", MODULES);
	fake_text(fake.procfd, "kallsyms", KALLSYMS);
	fake_text(fake.procfd, "vmallocinfo",
		  "0xffffc90000000000-0xffffc90000005000   20480 irq_init+0x114/0x1b0\n"
		  "0xffffffffc0a00000-0xffffffffc0a4b000  307200 move_module+0x23/0x180 "
		  "pages=74 vmalloc N0=74\n"
		  "0xffffffffc0b00000-0xffffffffc0b06000   24576 "
		  "load_module.constprop.0+0x2/0x18 pages=5 vmalloc\n"
		  "0xffffffffc0c00000-0xffffffffc0c02000    8192 "
		  "bpf_jit_alloc_exec+0xe/0x20 pages=1 vmalloc\n");
	fake_text(fake.procfd, "sys/kernel/tainted", "12288\n");
	fake_text(fake.sysfd, "module/nf_tables/initstate", "live\n");
	fake_text(fake.sysfd, "module/nf_tables/srcversion", "ABCDEF\n");
	fake_file(fake.sysfd, "module/nf_tables/notes/.note.gnu.build-id",
		  "\4\0\0\0\4\0\0\0\3\0\0\0GNU\0\xde\xad\xbe\xef", 20);
	fake_text(fake.sysfd, "module/lime/initstate", "live\n");
	fake_text(fake.sysfd, "module/built_in/parameters/x", "1\n");
	fake_text(fake.sysfd, "kernel/tracing/enabled_functions", "");
	fake_text(fake.sysfd, "kernel/debug/kprobes/list", "");
}

static void modules_of_every_view(void)
{
	usual();
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"type\":\"module\"") == 2);
	CHECK(triage_line_with("\"name\":\"lime\"", "\"size\":20480", "\"references\":2",
			       "\"used_by\":[\"nf_tables\",\"other\"]",
			       "\"address\":\"ffffffffc0b00000\"", "\"taint\":\"OE\"",
			       "[\"proc\",\"sysfs\",\"kallsyms\",\"vmalloc\"]", NULL));
	CHECK(triage_line_with("\"name\":\"nf_tables\"", "\"srcversion\":\"ABCDEF\"",
			       "\"build_id\":\"deadbeef\"", NULL));
	CHECK(triage_line_with("\"type\":\"kernel\"",
			       "[\"out_of_tree_module\",\"unsigned_module\"]", NULL));
	CHECK(triage_lines_count("\"finding\"") == 0);
	CHECK(triage_lines_count("\"unread\"") == 0);
}

static void hidden_from_proc(void)
{
	usual();
	fake_text(fake.sysfd, "module/rk\x1b/initstate", "live\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"kind\":\"hidden_module\"", "\"severity\":\"high\"",
			       "rk\\\\x1b", "\"proc\":\"absent\",\"sysfs\":\"present\"",
			       "\"rechecked\":3", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void hidden_from_sysfs_and_symbols(void)
{
	usual();
	fake_text(fake.procfd, "modules",
		  MODULES "rk 16384 0 - Live 0xffffffffc0d00000 (OE)\n"
			  "coming 16384 1 - Loading 0xffffffffc0e00000\n");
	fake_text(fake.procfd, "kallsyms", KALLSYMS "ffffffffc0f00000 t hook\t[deep]\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("hidden_module", "\"module\":\"rk\"",
			       "\"sysfs\":\"absent\"", NULL));
	CHECK(triage_line_with("hidden_module", "\"module\":\"deep\"",
			       "\"kallsyms\":\"present\"", NULL));
	CHECK(triage_lines_count("\"finding\"") == 2);
}

/* A module that took itself out of every list. */
static void memory_of_nobody(void)
{
	usual();
	fake_text(fake.procfd, "vmallocinfo",
		  "0xffffffffc0a00000-0xffffffffc0a4b000  307200 move_module+0x23/0x180\n"
		  "0xffffffffc0b00000-0xffffffffc0b06000   24576 move_module+0x23/0x180\n"
		  "0xffffffffc0b10000-0xffffffffc0b12000    8192 move_module+0x23/0x180\n"
		  "0xffffffffc0d00000-0xffffffffc0d04000   16384 move_module+0x2/0x18\n");
	/* Since 6.4 a module has several regions; sysfs tells of what. */
	fake_text(fake.sysfd, "module/lime/sections/.rodata", "0xffffffffc0b10000\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("hidden_module", "\"severity\":\"high\"",
			       "ffffffffc0d00000-ffffffffc0d04000", "\"bytes\":16384",
			       NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

#define LOADING ": loading out-of-tree module taints kernel.\n"
#define UNSIGNED                                                                         \
	": module verification failed: signature and/or required key missing - "         \
	"tainting kernel\n"

/* Names that only the log still has: leads, for who bears them may be gone. */
static void names_in_the_log(void)
{
	usual();
	fake_text(fake.rootfd, "dev/kmsg",
		  "6,7,100,-;booted\n DEVICE=+x:y\n"
		  "4,8,8123456,-;rk" LOADING "4,9,8123457,-,caller=T7;rk" UNSIGNED
		  "4,10,8123458,-;lime" UNSIGNED "12,11,9,-;forged" LOADING
		  "4,12,9,-;not a name" LOADING " rk2" LOADING "4,13,9;" LOADING);
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with(
		"\"type\":\"lead\",\"kind\":\"module_log\"", "{\"module\":\"rk\"}",
		"\"log\":\"rk: loading out-of-tree module taints kernel.\"",
		"\"log_us\":8123456", "\"proc\":\"absent\"",
		"\"tainted\":[\"out_of_tree_module\",\"unsigned_module\"]}", NULL));
	CHECK(triage_line_with("\"type\":\"kernel\"", "\"log_lost\":7", NULL));
	CHECK(triage_lines_count("\"lead\"") == 1);
	CHECK(triage_lines_count("\"finding\"") == 0);
	/* A taint that the log tells of and the kernel does not know any more. */
	fake_text(fake.procfd, "sys/kernel/tainted", "4096\n");
	triage_lines_clear();
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"lead\"", "{\"module\":\"lime\"}",
			       "\"proc\":\"present\"", "\"tainted\":[],",
			       "\"taint_gone\":[\"unsigned_module\"]", NULL));
	CHECK(triage_lines_count("\"lead\"") == 2);
}

static void lines_of_the_log(void)
{
	static const struct {
		const char *line;
		const char *name; /* NULL: none */
		unsigned taint;
	} lines[] = {
		{ "4,1,2,-;a: module license 'X: Y' taints kernel.", "a", 0 },
		{ "4,1,2,-;a: bad vermagic: kernel tainted.", "a", 1 },
		{ "4,1,2,-;a: module is from the staging directory, x", "a", 10 },
		{ "4,1,2,-;a-b: loading out-of-tree module taints kernel.", "a-b", 12 },
		{ "4,1,2,-;a: tainting kernel with TAINT_LIVEPATCH", "a", 15 },
		{ "4,1,2,-;a: loading test module taints kernel.", "a", 18 },
		{ "4,1,2,-;: loading out-of-tree module taints kernel.", NULL, 0 },
		{ "4,1,2,-;\x1b: loading out-of-tree module taints kernel.", NULL, 0 },
		{ "4,1,2,-;a: taints kernel.", NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char line[128];
		struct log_line read;
		const char *name;
		unsigned taint = 99;
		size_t len = 0;

		snprintf(line, sizeof(line), "%s", lines[i].line);
		CHECK(log_line_read(line, &read) && read.of_kernel && read.us == 2);
		name = log_text_module(read.text, &len, &taint);
		CHECK(!name == !lines[i].name);
		if (name) {
			CHECK(len == strlen(lines[i].name) &&
			      !memcmp(name, lines[i].name, len));
			CHECK(taint == lines[i].taint);
		}
	}
}

/* With kptr_restrict=0 vmallocinfo has hashes instead of addresses (%pK, 4.15). */
static void memory_by_its_sum(void)
{
	usual();
	fake_text(
		fake.procfd, "vmallocinfo",
		"0x00000000a1b2c3d4-0x0000000012345678  307200 move_module+0x23/0x180\n"
		"0x00000000b1b2c3d4-0x0000000022345678   24576 move_module+0x23/0x180\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"finding\"") == 0);
	usual();
	fake_text(
		fake.procfd, "vmallocinfo",
		"0x00000000a1b2c3d4-0x0000000012345678  307200 move_module+0x23/0x180\n"
		"0x00000000b1b2c3d4-0x0000000022345678   24576 move_module+0x23/0x180\n"
		"0x00000000c1b2c3d4-0x0000000032345678   20480 move_module+0x23/0x180\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("hidden_module", "\"severity\":\"medium\"",
			       "\"vmalloc_bytes\":339968", "\"proc_bytes\":323584",
			       NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void taint_without_a_module(void)
{
	usual();
	fake_text(fake.procfd, "sys/kernel/tainted", "4097\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("module_taint", "proprietary_module", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void hooks_of_ftrace(void)
{
	usual();
	fake_text(
		fake.sysfd, "kernel/tracing/enabled_functions",
		"wake_up_new_task (1)           \ttramp: 0xffffffffc0a7f000 "
		"(kprobe_ftrace_handler+0x0/0x1e0) ->arch_ftrace_ops_list_func+0x0/0x2\n"
		"__x64_sys_kill (1) R I     M \ttramp: 0xffffffffc0a80000 "
		"(fh_ftrace_thunk+0x0/0x40 [lime]) ->fh_ftrace_thunk+0x0/0x40 [lime]\n"
		"tcp4_seq_show (1) R I     M \ttramp: 0xffffffffc0a81000 "
		"(0xffffffffc0d00000)\n"
		"nft_do [nf_tables] (1)    D\n"
		"\tdirect-->bpf_trampoline_6442508684+0x0/0x1000 [bpf]\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("kernel_hook", "\"severity\":\"medium\"",
			       "\"function\":\"__x64_sys_kill\"", "\"module\":\"lime\"",
			       NULL));
	CHECK(triage_line_with("kernel_hook", "\"severity\":\"high\"",
			       "\"function\":\"tcp4_seq_show\"",
			       "\"ftrace\":\"0xffffffffc0d00000\"", NULL));
	CHECK(triage_lines_count("\"severity\":\"high\"") == 1);
	CHECK(triage_line_with("\"type\":\"kernel\"",
			       "{\"function\":\"nft_do\",\"module\":\"nf_tables\",",
			       "\"hook\":\"bpf_trampoline_6442508684+0x0/0x1000 [bpf]\"",
			       NULL));
	CHECK(triage_line_with("\"name\":\"lime\"", "\"ftrace\"", NULL));
}

static void probes(void)
{
	usual();
	fake_text(fake.sysfd, "kernel/debug/kprobes/list",
		  "ffffffff81a2b3c0  k  vfs_read+0x0    [DISABLED][FTRACE]\n"
		  "0000000000000000  r  nft_do+0x0  nonsense [nf_tables]  \n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"type\":\"kernel\"",
			       "{\"address\":\"ffffffff81a2b3c0\",\"kind\":\"probe\","
			       "\"symbol\":\"vfs_read+0x0\",\"disabled\":true}",
			       "{\"kind\":\"return\",\"symbol\":\"nft_do+0x0\","
			       "\"module\":\"nf_tables\"}",
			       NULL));
	CHECK(triage_line_with("kernel_hook", "\"severity\":\"low\"", "2 probes", NULL));
}

static void programs_that_the_kernel_runs(void)
{
	usual();
	fake_text(fake.procfd, "sys/kernel/core_pattern", "|/dev/shm/.x %p\n");
	fake_text(fake.procfd, "sys/kernel/modprobe", "/sbin/modprobe\n");
	fake_text(fake.rootfd, "etc/ld.so.preload", "/usr/lib/libx.so\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("kernel_hook", "core_pattern", "\"severity\":\"high\"",
			       "/dev/shm/.x %p", NULL));
	CHECK(triage_line_with("\"kind\":\"preload\"", "\"severity\":\"medium\"",
			       "/usr/lib/libx.so", NULL));
	CHECK(triage_line_with("\"type\":\"kernel\"",
			       "\"ld_so_preload\":\"/usr/lib/libx.so\\n\"",
			       "\"modprobe\":\"/sbin/modprobe\"", NULL));
	CHECK(triage_lines_count("\"finding\"") == 2);
}

static void what_cannot_be_read_is_said(void)
{
	fake_begin();
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"unread\"", "/sys/module", "ENOENT", NULL));
	CHECK(triage_line_with("\"unread\"", "/proc/kallsyms", NULL));
	CHECK(triage_line_with("\"unread\"", "/proc/vmallocinfo", NULL));
	CHECK(triage_line_with("\"unread\"", "kprobes/list", "not_supported", NULL));
	CHECK(triage_lines_count("\"finding\"") == 0);
	usual();
	fake_text(fake.procfd, "modules", MODULES "damaged\n");
	CHECK(collect_modules(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"unread\"", "/proc/modules", "\"error\"", NULL));
	/* What is not known cannot be missing. */
	CHECK(triage_lines_count("hidden_module") == 0);
}

static bool odd(const char *text, bool host, enum triage_severity *severity)
{
	struct mountinfo_line line;
	char copy[512];

	strcpy(copy, text);
	return mountinfo_split(copy, &line) && mount_place_odd(&line, host, severity);
}

static void mounts_over_proc(void)
{
	enum triage_severity severity;

	CHECK(odd("9 8 0:4 / /proc/123 rw - tmpfs tmpfs rw", false, &severity));
	CHECK(severity == SEVERITY_HIGH);
	CHECK(odd("9 8 0:4 / /proc/net/tcp rw - ext4 /dev/x rw", true, &severity));
	CHECK(severity == SEVERITY_HIGH);
	CHECK(!odd("9 8 0:4 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw", true,
		   &severity));
	CHECK(!odd("9 8 0:4 / /proc/acpi ro - tmpfs tmpfs rw", false, &severity));
	CHECK(!odd("9 8 0:4 /null /proc/kcore rw - tmpfs tmpfs rw", false, &severity));
	CHECK(!odd("9 8 0:4 /sys /proc/sys ro - proc proc rw", false, &severity));
	CHECK(!odd("9 8 0:4 / /proc rw - proc proc rw", true, &severity));
	CHECK(odd("9 8 0:4 /null /proc/kcore rw - devtmpfs udev rw", true, &severity));
	CHECK(severity == SEVERITY_MEDIUM);
}

static void mounts_of_each_namespace(void)
{
	static const struct person persons[] = {
		{ .pid = 1, .mntns = 4026531841 },
		{ .pid = 2, .mntns = 4026531841 },
		{ .pid = 3, .mntns = 4026532000 },
	};

	fake_begin();
	for (size_t i = 0; i < 3; i++)
		census_add_person(&fake.census, &persons[i]);
	fake_text(fake.procfd, "1/mountinfo",
		  "21 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n"
		  "22 21 0:4 / /proc/77 rw - tmpfs evil rw\n");
	fake_text(fake.procfd, "2/mountinfo", "1 1 0:1 / /twice rw - tmpfs x rw\n");
	fake_text(fake.procfd, "3/mountinfo",
		  "31 1 0:50 / /a\\040b rw - overlay overlay rw,lowerdir=/x\nbad\n");
	CHECK(collect_mounts(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"type\":\"mount\"") == 3);
	CHECK(triage_line_with("\"mntns\":4026531841", "\"id\":21", "\"dev\":\"259:1\"",
			       "\"point\":\"/\"", "\"filesystem\":\"ext4\"",
			       "\"source\":\"/dev/nvme0n1p1\"", NULL));
	CHECK(triage_line_with("\"mntns\":4026532000", "\"point\":\"/a b\"",
			       "lowerdir=/x", NULL));
	CHECK(triage_line_with("proc_overmounted", "/proc/77", "\"high\"", NULL));
	CHECK(triage_line_with("\"unread\"", "/proc/3/mountinfo", NULL));
}

int main(void)
{
	RUN(modules_of_every_view);
	RUN(hidden_from_proc);
	RUN(hidden_from_sysfs_and_symbols);
	RUN(memory_of_nobody);
	RUN(names_in_the_log);
	RUN(lines_of_the_log);
	RUN(memory_by_its_sum);
	RUN(taint_without_a_module);
	RUN(hooks_of_ftrace);
	RUN(probes);
	RUN(programs_that_the_kernel_runs);
	RUN(what_cannot_be_read_is_said);
	RUN(mounts_over_proc);
	RUN(mounts_of_each_namespace);
	fake_end();
	return DONE();
}
