#include "toolkit/lib/host.h"

#include <elf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "toolkit/lib/elfnote.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"

#ifndef NT_GNU_BUILD_ID
#define NT_GNU_BUILD_ID 3
#endif

/* Of a small file; an empty string when it cannot be read. */
static void read_small(int dirfd, const char *path, char *buf, size_t size)
{
	struct err err;
	size_t len;

	if (io_read_text(dirfd, path, buf, size, &len, &err) < 0)
		len = 0;
	while (len && (buf[len - 1] == '\n' || buf[len - 1] == ' '))
		len--;
	buf[len] = '\0';
}

/* Digits at *text, at most max; moves behind them. False when there are none. */
static bool take_number(const char **text, uint32_t max, uint32_t *value)
{
	const char *p = *text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		*value = *value > max ? max : *value * 10 + (uint32_t)(*p - '0');
	if (*value > max)
		*value = max;
	if (p == *text)
		return false;
	*text = p;
	return true;
}

/* "6.1.192-2" and "6.12"; 0 when text does not begin so. */
static uint32_t parse_version(const char *text)
{
	uint32_t major, minor, patch = 0;

	if (!take_number(&text, 255, &major) || *text++ != '.' ||
	    !take_number(&text, 255, &minor))
		return 0;
	if (*text++ == '.' && !take_number(&text, 65535, &patch))
		patch = 0;
	return HOST_VERSION(major, minor, patch);
}

/* "Ubuntu 5.15.0-91.101-generic 5.15.131": the last word. */
static uint32_t ubuntu_version(int proc_dirfd)
{
	char text[256];
	const char *at;

	read_small(proc_dirfd, "version_signature", text, sizeof(text));
	at = strrchr(text, ' ');
	return at ? parse_version(at + 1) : 0;
}

/* "(Debian 12.2.0-14) ... #1 SMP Debian 6.1.192-2": behind the #, for the compiler, named
 * before it, is Debian's too. */
static uint32_t debian_version(const char *text)
{
	static const char debian[] = " Debian ";
	const char *mark = strchr(text, '#');
	uint32_t version = 0;

	for (const char *at = mark ? strstr(mark, debian) : NULL; at && !version;
	     at = strstr(at + 1, debian))
		version = parse_version(at + strlen(debian));
	return version;
}

static uint32_t read_version(int proc_dirfd, const char *release)
{
	char text[1024];
	uint32_t version = ubuntu_version(proc_dirfd);

	read_small(proc_dirfd, "version", text, sizeof(text));
	if (!version)
		version = debian_version(text);
	return version ? version : parse_version(release);
}

/* The word in brackets of "none [integrity] confidentiality". */
static enum host_lockdown read_lockdown(int proc_dirfd, int sys_dirfd)
{
	static const char option[] = "lockdown=";
	char text[8192];
	const char *at = text;

	read_small(sys_dirfd, "kernel/security/lockdown", text, sizeof(text));
	if (strstr(text, "[none]"))
		return LOCKDOWN_NONE;
	if (strstr(text, "[integrity]"))
		return LOCKDOWN_INTEGRITY;
	if (strstr(text, "[confidentiality]"))
		return LOCKDOWN_CONFIDENTIALITY;
	/* No securityfs: what the kernel was booted with is the least that holds. */
	read_small(proc_dirfd, "cmdline", text, sizeof(text));
	for (at = strstr(text, option); at; at = strstr(at + 1, option)) {
		if (at != text && at[-1] != ' ')
			continue;
		if (strncmp(at + strlen(option), "confidentiality", 15) == 0)
			return LOCKDOWN_CONFIDENTIALITY;
		if (strncmp(at + strlen(option), "integrity", 9) == 0)
			return LOCKDOWN_INTEGRITY;
	}
	return LOCKDOWN_UNKNOWN;
}

static bool read_capabilities(int proc_dirfd, uint64_t *capabilities)
{
	static const char field[] = "\nCapEff:";
	char text[8192];
	const char *at;
	char *end;

	read_small(proc_dirfd, "self/status", text, sizeof(text));
	at = strstr(text, field);
	if (!at)
		return false;
	at += strlen(field);
	*capabilities = strtoull(at, &end, 16);
	return end != at;
}

static bool ask_capabilities(uint64_t *capabilities)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	*capabilities = (uint64_t)data[1].effective << 32 | data[0].effective;
	return true;
}

/* What uname(2) and capget(2) say. */
static void ask_kernel(int proc_dirfd, const struct utsname *uts, struct host *host)
{
	snprintf(host->release, sizeof(host->release), "%s", uts->release);
	if (strstr(uts->version, "Ubuntu"))
		host->version = ubuntu_version(proc_dirfd);
	if (!host->version)
		host->version = debian_version(uts->version);
	if (!host->version)
		host->version = parse_version(host->release);
	host->has_capabilities = ask_capabilities(&host->capabilities);
}

void host_identify(int proc_dirfd, struct host *host)
{
	struct utsname uts;
	struct statfs fs;

	memset(host, 0, sizeof(*host));
	if (fstatfs(proc_dirfd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
	    uname(&uts) == 0) {
		ask_kernel(proc_dirfd, &uts, host);
		return;
	}
	read_small(proc_dirfd, "sys/kernel/osrelease", host->release,
		   sizeof(host->release));
	host->version = read_version(proc_dirfd, host->release);
	host->has_capabilities = read_capabilities(proc_dirfd, &host->capabilities);
}

void host_read(int proc_dirfd, int sys_dirfd, struct host *host)
{
	char text[64];

	host_identify(proc_dirfd, host);
	host->lockdown = read_lockdown(proc_dirfd, sys_dirfd);
	read_small(sys_dirfd, "module/module/parameters/sig_enforce", text, sizeof(text));
	host->sig_enforce = text[0] == 'Y' || text[0] == '1';
	read_small(proc_dirfd, "sys/kernel/modules_disabled", text, sizeof(text));
	host->modules_disabled = text[0] == '1';
}

bool host_may(const struct host *host, unsigned capability)
{
	return !host->has_capabilities || (host->capabilities >> capability & 1);
}

const char *host_lockdown_name(enum host_lockdown lockdown)
{
	switch (lockdown) {
	case LOCKDOWN_NONE:
		return "none";
	case LOCKDOWN_INTEGRITY:
		return "integrity";
	case LOCKDOWN_CONFIDENTIALITY:
		return "confidentiality";
	case LOCKDOWN_UNKNOWN:
		break;
	}
	return "unknown";
}

bool host_build_id(int sys_dirfd, char hex[HOST_BUILD_ID_SIZE])
{
	static char notes[4096];
	struct err ignored;
	const char *id;
	size_t len;

	hex[0] = '\0';
	if (io_read_text(sys_dirfd, "kernel/notes", notes, sizeof(notes), &len,
			 &ignored) < 0)
		return false;
	id = elfnote_find(notes, len, "GNU", NT_GNU_BUILD_ID, &len);
	if (!id || len == 0 || len > (HOST_BUILD_ID_SIZE - 1) / 2)
		return false;
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)id[i]);
	return true;
}
