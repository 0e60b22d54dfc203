#include "toolkit/lib/gone.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/err.h"

/* Data, not constants: what is written to is the process's own. */
static struct {
	char text[160];
	size_t len;
} last_words;

/* Not libc's: that may stand in a page which cannot be read any more. */
static inline long raw_syscall(long number, long a, long b, long c)
{
#if defined(__x86_64__)
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
#else
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

static void on_bus_error(int sig)
{
	(void)sig;
	raw_syscall(SYS_write, STDERR_FILENO, (long)last_words.text,
		    (long)last_words.len);
	for (;;)
		raw_syscall(SYS_exit_group, ERR_FAILED, 0, 0);
}

void gone_guard(const char *program)
{
	struct sigaction action = { .sa_handler = on_bus_error };
	int len = snprintf(last_words.text, sizeof(last_words.text),
			   "%.32s: the volume that it runs from cannot be read any more: "
			   "I/O error\n",
			   program);

	last_words.len = len < 0 ? 0 : (size_t)len;
	/* Best effort, as wherever locking may be forbidden. */
	mlock((void *)(uintptr_t)on_bus_error, 128);
	mlock(&last_words, sizeof(last_words));
	sigaction(SIGBUS, &action, NULL);
}
