/*
 * Processes for the tests of triage to find. What to be stands in the environment, for
 * the arguments are what is tested: PLANT="MODE [ARGUMENT]"; without it: one that sleeps.
 * Says "ready ..." on stdout once it is what it was told to be.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	_exit(5);
}

static void pause_for_ever(void)
{
	for (;;)
		pause();
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static void say(const char *what)
{
	dprintf(STDOUT_FILENO, "ready %s\n", what);
}

/* Field N of /proc/self/stat as proc(5) counts. */
static uint64_t stat_field(int n)
{
	static char text[4096];
	FILE *file = fopen("/proc/self/stat", "re");
	char *at;

	if (!file)
		die("/proc/self/stat");
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	at = strrchr(text, ')');
	for (int i = 2; i < n && at; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

/* Moves the arguments, so that /proc/self/cmdline shows other memory. */
static void move_arguments(uint64_t start, uint64_t end)
{
	struct prctl_mm_map map = { .start_code = stat_field(26),
				    .end_code = stat_field(27),
				    .start_data = stat_field(45),
				    .end_data = stat_field(46),
				    .start_brk = stat_field(47),
				    .start_stack = stat_field(28),
				    .arg_start = start,
				    .arg_end = end,
				    .env_start = stat_field(50),
				    .env_end = stat_field(51),
				    .exe_fd = (uint32_t)-1 };

	map.brk = (uint64_t)(uintptr_t)sbrk(0);
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		die("PR_SET_MM_MAP");
}

/* The whole page is the arguments: nothing ends the last. */
static void unterminated(const char *text)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	size_t len = strlen(text);

	if (page == MAP_FAILED)
		die("mmap");
	/* Words are kept apart by '|' in what we are told. */
	for (size_t i = 0; i < len; i++)
		page[i] = text[i] == '|' ? '\0' : text[i];
	move_arguments((uintptr_t)page, (uintptr_t)page + len);
	say("");
}

struct lock {
	int memfd;
	const char *page;
};

/* Reads the page through /proc, which holds the lock of the address space meanwhile. */
static void *hold_lock(void *arg)
{
	const struct lock *lock = arg;
	char byte;

	if (pread(lock->memfd, &byte, 1, (off_t)(uintptr_t)lock->page) == 1)
		die("the page was brought");
	return NULL;
}

/* Waits to change the address space: who only wants to look stands behind it. */
static void *want_lock(void *arg)
{
	(void)arg;
	sleep_ms(200);
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return NULL;
}

/* What stands in this address space cannot be looked at any more, by anybody. */
static void blocked(const char *path)
{
	static struct lock lock;
	pthread_t thread;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	lock.page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	lock.memfd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (lock.page == MAP_FAILED || lock.memfd < 0)
		die("mmap");
	say("");
	if (pthread_create(&thread, NULL, want_lock, NULL) != 0 ||
	    pthread_create(&thread, NULL, hold_lock, &lock) != 0)
		die("pthread_create");
}

static void name(const char *hex)
{
	char comm[16] = "";

	for (size_t i = 0; i < 15 && hex[2 * i]; i++)
		comm[i] = (char)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], '\0' },
					NULL, 16);
	prctl(PR_SET_NAME, comm);
	say("");
}

static void anonymous_exec(void)
{
	char text[32];
	void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		die("mmap");
	memset(page, 0xc3, 8192);
	snprintf(text, sizeof(text), "%" PRIxPTR, (uintptr_t)page);
	say(text);
}

/* The pattern is not in the program: it is made from its two halves. */
static void pattern(const char *half)
{
	char text[48];
	char *pages = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		die("mmap");
	snprintf(pages + 5 * 4096 + 123, 256, "%s-%s", half, half);
	snprintf(text, sizeof(text), "%" PRIxPTR, (uintptr_t)pages + 5 * 4096 + 123);
	say(text);
}

static void map_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		die("mmap");
	close(fd);
	say("");
}

static void trace_another(void)
{
	char text[16];
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause_for_ever();
	}
	if (child < 0 || ptrace(PTRACE_SEIZE, child, 0, 0) < 0)
		die("PTRACE_SEIZE");
	snprintf(text, sizeof(text), "%d", child);
	say(text);
}

/*
 * One pid for ever new processes, each under names of its own: "PID DIR LOG"; DIR is
 * where programs of those names appear. Each line of LOG is a generation and its
 * start_ticks.
 */
static void use_again(const char *how)
{
	char dir[128], log_path[128], path[192], line[64];
	pid_t pid;
	int log;

	if (sscanf(how, "%d %127s %127s", &pid, dir, log_path) != 3)
		die("PLANT=again");
	log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	signal(SIGCHLD, SIG_DFL);
	say("");
	for (unsigned n = 1;; n++) {
		struct clone_args args = { .exit_signal = SIGCHLD,
					   .set_tid = (uintptr_t)&pid,
					   .set_tid_size = 1 };
		char gen[16], env[24];
		long child;

		snprintf(gen, sizeof(gen), "g%07u", n);
		snprintf(env, sizeof(env), "GEN=%s", gen);
		snprintf(path, sizeof(path), "%s/%s", dir, gen);
		if (symlink("/proc/self/exe", path) < 0)
			die(path);
		child = syscall(SYS_clone3, &args, sizeof(args));
		if (child < 0)
			die("clone3 with set_tid");
		if (child == 0) {
			/* start_ticks are those of the process, whatever it runs. */
			snprintf(line, sizeof(line), "%s %" PRIu64 "\n", gen,
				 stat_field(22));
			if (write(log, line, strlen(line)) < 0)
				die(log_path);
			execve(path, (char *[]){ gen, gen, NULL },
			       (char *[]){ env, NULL });
			die(path);
		}
		sleep_ms(n % 4);
		kill((pid_t)child, SIGKILL);
		waitpid((pid_t)child, NULL, 0);
		unlink(path);
	}
}

/* "STANDING FORKS": so many that stay, and so many that come and go, over and over. */
static void churn(const char *how)
{
	int standing, forks;
	char text[32];

	if (sscanf(how, "%d %d", &standing, &forks) != 2)
		die("PLANT=churn");
	for (int i = 0; i < standing; i++) {
		pid_t child = fork();

		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause_for_ever();
		}
		if (child < 0)
			die("fork");
	}
	say("standing");
	for (int i = 0; i < forks; i += 64) {
		pid_t children[64];

		for (int k = 0; k < 64; k++) {
			children[k] = fork();
			if (children[k] == 0)
				_exit(0);
		}
		for (int k = 0; k < 64; k++)
			if (children[k] > 0)
				waitpid(children[k], NULL, 0);
	}
	snprintf(text, sizeof(text), "forked %d", forks);
	say(text);
}

/* Threads show in no listing, and answer to signals. */
static void *thread(void *arg)
{
	(void)arg;
	pause_for_ever();
	return NULL;
}

static void threads(const char *count)
{
	pthread_t id;

	for (int i = 0; i < atoi(count); i++)
		if (pthread_create(&id, NULL, thread, NULL) != 0)
			die("pthread_create");
	say("");
}

int main(void)
{
	const char *plant = getenv("PLANT");
	size_t len = plant ? strcspn(plant, " ") : 0;
	const char *argument = plant && plant[len] ? plant + len + 1 : "";
	const struct {
		const char *mode;
		void (*with)(const char *);
		void (*alone)(void);
	} modes[] = {
		{ "name", name, NULL },		  { "unterminated", unterminated, NULL },
		{ "blocked", blocked, NULL },	  { "anonymous", NULL, anonymous_exec },
		{ "pattern", pattern, NULL },	  { "map", map_file, NULL },
		{ "trace", NULL, trace_another }, { "again", use_again, NULL },
		{ "churn", churn, NULL },	  { "threads", threads, NULL },
	};

	for (size_t i = 0; plant && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strlen(modes[i].mode) == len &&
		    strncmp(modes[i].mode, plant, len) == 0) {
			if (modes[i].with)
				modes[i].with(argument);
			else
				modes[i].alone();
			pause_for_ever();
		}
	if (plant) {
		errno = EINVAL;
		die(plant);
	}
	pause_for_ever();
	return 0;
}
