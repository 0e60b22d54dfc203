#include "kmods/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/cpio.h"
#include "kmods/file.h"
#include "kmods/image.h"
#include "kmods/spawn.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"

#define MARK "fvol-boot-test: "
#define MEMORY_MIB "256"
#define CONSOLE_BYTES_MAX (16u << 20)

/* How the emulator is told to be a machine of the architecture. */
static const struct machine {
	const char *arch, *emulator, *machine, *cpu, *console;
} machines[] = {
	/* Five levels of page tables take long, and are not the subject. */
	{ "x86_64", "qemu-system-x86_64", "q35", "max,la57=off", "ttyS0" },
	/* The emulation of max is several times slower. */
	{ "aarch64", "qemu-system-aarch64", "virt", "cortex-a72", "ttyAMA0" },
};

static const struct machine *find_machine(const char *arch)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (strcmp(machines[i].arch, arch) == 0)
			return &machines[i];
	}
	return NULL;
}

int guest_judge(const char *console, char words[GUEST_WORDS_SIZE])
{
	static const char passed[] = "passed, ", failed[] = "failed, ";
	const char *at = strstr(console, MARK);
	size_t n = 0;

	words[0] = '\0';
	if (!at)
		return -1;
	at += strlen(MARK);
	/* Without its end the line may be half of one. */
	if (!strchr(at, '\n'))
		return -1;
	for (; at[n] != '\n' && at[n] != '\r' && n + 1 < GUEST_WORDS_SIZE; n++)
		words[n] = (char)(at[n] < 0x20 || at[n] > 0x7e ? '?' : at[n]);
	words[n] = '\0';
	if (strncmp(words, passed, strlen(passed)) == 0)
		return 1;
	return strncmp(words, failed, strlen(failed)) == 0 ? 0 : -1;
}

static int add_file(struct cpio *cpio, int dirfd, const char *path, const char *name,
		    const char *sha256, struct err *err)
{
	char hex[SHA256_HEX_SIZE], *data;
	size_t len;
	int rc;

	if (file_read(dirfd, path, GUEST_FILE_MAX, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, hex);
	if (sha256 && strcmp(sha256, hex) != 0)
		rc = err_set(err, ERR_NO, "%s is not the module of the catalogue", path);
	else
		rc = cpio_add(cpio, name, 0755, data, len, err);
	free(data);
	return rc;
}

static int write_initramfs(const struct guest_test *t, int dirfd, struct err *err)
{
	char init[PATH_MAX], module[TREE_PATH_SIZE];
	struct cpio cpio = { 0 };
	int rc = -1;

	snprintf(init, sizeof(init), "%s/%s/init", t->guest, t->module->arch);
	snprintf(module, sizeof(module), "%s/%s/" MODULE_FILE, t->module->arch,
		 t->module->release);
	if (add_file(&cpio, AT_FDCWD, init, "init", NULL, err) == 0 &&
	    add_file(&cpio, t->modulesfd, module, "lime.ko", t->module->sha256, err) ==
		    0 &&
	    cpio_end(&cpio, err) == 0)
		rc = file_put(dirfd, "initramfs", cpio.data, cpio.len_bytes, 0644, false,
			      err);
	free(cpio.data);
	return rc;
}

static int emulate(const struct guest_test *t, const struct machine *m, const char *dir,
		   int logfd, struct err *err)
{
	char image[PATH_MAX + 16], initramfs[PATH_MAX + 16], line[256], limit[16];
	/* timeout(1): an emulator that hangs ends, even when nobody waits any more. */
	const char *const argv[] = {
		"timeout",
		"-k",
		"10",
		limit,
		m->emulator,
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-nic",
		"none",
		"-accel",
		"tcg",
		"-M",
		m->machine,
		"-cpu",
		m->cpu,
		"-smp",
		"1",
		"-m",
		MEMORY_MIB,
		"-serial",
		"stdio",
		"-kernel",
		image,
		"-initrd",
		initramfs,
		"-append",
		line,
		NULL,
	};

	snprintf(limit, sizeof(limit), "%u", t->timeout_s);
	snprintf(image, sizeof(image), "%s/vmlinuz", dir);
	snprintf(initramfs, sizeof(initramfs), "%s/initramfs", dir);
	/* Under load the emulator's timer fails the kernel's own check of it. */
	/* One processor, no watchdog: a second one starves on a busy build machine, which
	 * looks like a lockup; and a guest that hit a BUG is to end, not to linger. */
	snprintf(line, sizeof(line),
		 "console=%s panic=-1 oops=panic nowatchdog rdinit=/init quiet%s",
		 m->console, strcmp(m->arch, "x86_64") == 0 ? " no_timer_check" : "");
	return spawn_run(t->tools, (char *const *)argv, logfd, err);
}

/* The guest's word, or what became of it without one. */
static int judge(const struct guest_test *t, const struct machine *m, const char *log,
		 const struct err *ended, char words[GUEST_WORDS_SIZE], struct err *err)
{
	char emulator[128], option[] = "--version", name[64], *console;
	char *const argv[] = { name, option, NULL };
	size_t len, used;
	int said;

	if (file_read(t->scratchfd, log, CONSOLE_BYTES_MAX, &console, &len, err) < 0)
		return -1;
	/* A console may print NULs; what stands behind them is read too. */
	for (size_t i = 0; i < len; i++)
		console[i] = console[i] ? console[i] : ' ';
	said = guest_judge(console, words);
	free(console);
	if (said == 0)
		return err_set(err, ERR_NO, "its boot test %s; see %s/%s", words,
			       t->scratch, log);
	if (said < 0 && strstr(ended->text, "exited with 124"))
		return err_set(err, ERR_NO, "its boot test never finished; see %s/%s",
			       t->scratch, log);
	if (said < 0)
		return err_set(err, ERR_NO,
			       "its boot test failed, the guest ended without a word%s%s;"
			       " see %s/%s",
			       ended->text[0] ? ": " : "", ended->text, t->scratch, log);
	snprintf(name, sizeof(name), "%s", m->emulator);
	if (spawn_line(t->tools, argv, emulator, sizeof(emulator), err) < 0)
		return -1;
	used = strlen(words);
	snprintf(words + used, GUEST_WORDS_SIZE - used, ", %s %s, %.60s", m->machine,
		 m->cpu, emulator);
	return 0;
}

/* In the guest's own directory dirfd, whose absolute name is dir. */
static int run_in(const struct guest_test *t, const struct machine *m, int dirfd,
		  const char *dir, const char *log, int logfd,
		  char words[GUEST_WORDS_SIZE], struct err *err)
{
	struct err ended = { .kind = ERR_NONE, .text = "" };
	unsigned char *kernel;
	size_t len;
	int rc;

	if (image_read(t->kernel, t->packages, &kernel, &len, err) < 0)
		return -1;
	rc = file_put(dirfd, "vmlinuz", kernel, len, 0644, false, err);
	free(kernel);
	if (rc < 0 || write_initramfs(t, dirfd, err) < 0)
		return -1;
	if (emulate(t, m, dir, logfd, &ended) < 0 &&
	    strstr(ended.text, "exited with 127"))
		return err_set(err, ERR_FAILED, "%s is not installed on this machine",
			       m->emulator);
	return judge(t, m, log, &ended, words, err);
}

int guest_run(const struct guest_test *test, char words[GUEST_WORDS_SIZE],
	      struct err *err)
{
	const struct machine *m = find_machine(test->module->arch);
	char rel[TREE_PATH_SIZE], log[TREE_PATH_SIZE], name[NAME_MAX + 1], dir[PATH_MAX];
	int parentfd, dirfd = -1, logfd = -1, rc = -1;
	struct err ignored;

	if (!m)
		return err_set(err, ERR_FAILED, "no machine is emulated for %s",
			       test->module->arch);
	snprintf(rel, sizeof(rel), "%s/%s.boot", m->arch, test->module->release);
	snprintf(log, sizeof(log), "%s/%s.boot.log", m->arch, test->module->release);
	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", test->scratch, rel) >=
	    sizeof(dir))
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	parentfd = tree_parent(test->scratchfd, rel, true, name, err);
	if (parentfd < 0)
		return -1;
	if (tree_remove(parentfd, name, err) < 0 ||
	    io_mkdir(parentfd, name, 0755, err) < 0)
		goto out;
	dirfd = openat(parentfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	logfd = openat(test->scratchfd, log,
		       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (dirfd < 0 || logfd < 0)
		err_sys(err, errno, "making %s", rel);
	else
		rc = run_in(test, m, dirfd, dir, log, logfd, words, err);
	io_close(&dirfd);
	io_close(&logfd);
out:
	/* The console stays. */
	tree_remove(parentfd, name, &ignored);
	io_close(&parentfd);
	return rc;
}
