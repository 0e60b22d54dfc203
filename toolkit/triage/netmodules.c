/*
 * Can the kernel answer for a protocol of sockets without loading a module? What is not
 * known to be there counts as missing: then nothing is asked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/lib/gzip.h"
#include "toolkit/lib/io.h"
#include "toolkit/triage/network.h"
#include "toolkit/triage/quiet.h"

/* The modules, the option of the kernel's configuration that builds one in, and a
 * function that stays in kallsyms when it is. */
static const struct {
	const char *module, *option, *symbol;
} known[] = {
	{ "tcp_diag", "CONFIG_INET_TCP_DIAG", "tcp_diag_dump" },
	{ "udp_diag", "CONFIG_INET_UDP_DIAG", "udp_diag_dump" },
	{ "raw_diag", "CONFIG_INET_RAW_DIAG", "raw_diag_dump" },
	{ "unix_diag", "CONFIG_UNIX_DIAG", "unix_diag_dump" },
	{ "af_packet_diag", "CONFIG_PACKET_DIAG", "packet_diag_dump" },
	{ "netlink_diag", "CONFIG_NETLINK_DIAG", "netlink_diag_dump" },
};
#define KNOWN (sizeof(known) / sizeof(known[0]))
#define ALL ((1u << KNOWN) - 1)

/* "NAME SIZE REFERENCES USERS STATE ADDRESS": one that is being loaded or unloaded may
 * answer or not. */
static int module_line(void *context, const char *text, size_t len)
{
	unsigned *there = context;

	for (size_t i = 0; i < KNOWN; i++) {
		size_t name = strlen(known[i].module);

		if (len > name && !memcmp(text, known[i].module, name) &&
		    text[name] == ' ' && memmem(text, len, " Live", 5))
			*there |= 1u << i;
	}
	return 0;
}

static void loaded(const struct triage *t, unsigned *there)
{
	int fd = openat(t->procfd, "modules", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		(void)netview_lines(fd, false, module_line, there);
	io_close(&fd);
}

/* Does text have a line that is this option, set to y? */
static bool option_set(const char *text, const char *option)
{
	size_t len = strlen(option);

	for (const char *at = strstr(text, option); at; at = strstr(at + 1, option))
		if ((at == text || at[-1] == '\n') && !strncmp(at + len, "=y\n", 3))
			return true;
	return false;
}

#define CONFIG_MAX ((size_t)1 << 20)

/* True when the configuration could be read: it knows of all. */
static bool configured(const struct triage *t, const char *release, unsigned *there)
{
	char *text = malloc(CONFIG_MAX), *packed = malloc(CONFIG_MAX), path[96];
	enum triage_reason reason;
	bool found = false;
	struct err err;
	ssize_t len;
	size_t got;
	int fd = -1;

	if (!text || !packed)
		goto out;
	fd = openat(t->procfd, "config.gz", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (len = io_pread(fd, packed, CONFIG_MAX, 0)) > 0 &&
	    gunzip(packed, (size_t)len, text, CONFIG_MAX - 1, &got, &err) == 0) {
		text[got] = '\0';
		found = true;
	} else {
		snprintf(path, sizeof(path), "boot/config-%s", release);
		found = triage_read_quiet(t, t->rootfd, path, 0, text, CONFIG_MAX, NULL,
					  &reason) > 0;
	}
	for (size_t i = 0; found && i < KNOWN; i++)
		if (option_set(text, known[i].option))
			*there |= 1u << i;
out:
	io_close(&fd);
	free(text);
	free(packed);
	return found;
}

/* The list of what is built in, that comes with the modules. */
static bool built_in(const struct triage *t, const char *release, unsigned *there)
{
	char *text = malloc(CONFIG_MAX), path[96], name[32];
	enum triage_reason reason;
	bool found;

	if (!text)
		return false;
	snprintf(path, sizeof(path), "lib/modules/%s/modules.builtin", release);
	found = triage_read_quiet(t, t->rootfd, path, 0, text, CONFIG_MAX, NULL,
				  &reason) > 0;
	for (size_t i = 0; found && i < KNOWN; i++) {
		snprintf(name, sizeof(name), "/%s.ko", known[i].module);
		if (strstr(text, name))
			*there |= 1u << i;
	}
	free(text);
	return found;
}

/* "ADDRESS TYPE NAME[\t[MODULE]]" */
static int symbol_line(void *context, const char *text, size_t len)
{
	const char *name = memrchr(text, ' ', len);
	unsigned *there = context;
	size_t name_len;

	if (!name || memchr(text, '\t', len))
		return 0;
	name_len = (size_t)(text + len - ++name);
	for (size_t i = 0; i < KNOWN; i++) {
		size_t want = strlen(known[i].symbol);

		/* Compilers add ".isra.0" and the like. */
		if (name_len >= want && !memcmp(name, known[i].symbol, want) &&
		    (name_len == want || name[want] == '.'))
			*there |= 1u << i;
	}
	return *there == ALL;
}

static void symbols(const struct triage *t, unsigned *there)
{
	int fd = openat(t->procfd, "kallsyms", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		(void)netview_lines(fd, false, symbol_line, there);
	io_close(&fd);
}

void netmodules_read(const struct triage *t, struct netmodules *modules)
{
	struct utsname name = { .release = "" };
	unsigned there = 0;

	memset(modules, 0, sizeof(*modules));
	if (!t->live)
		return;
	loaded(t, &there);
	/* In the order of what it costs: kallsyms takes as long as all the rest of
	 * triage. */
	if (there != ALL && uname(&name) == 0 && !strchr(name.release, '/') &&
	    strlen(name.release) < 64 && !configured(t, name.release, &there) &&
	    !built_in(t, name.release, &there))
		symbols(t, &there);
	for (int p = 0; p < NET_PROTOCOLS; p++) {
		const char *module = netdiag_module((enum net_protocol)p);

		for (size_t i = 0; module && i < KNOWN; i++)
			if (!strcmp(known[i].module, module))
				modules->there[p] = there >> i & 1;
	}
}
