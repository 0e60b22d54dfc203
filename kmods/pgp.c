#include "kmods/pgp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/repo.h"
#include "kmods/spawn.h"
#include "toolkit/lib/io.h"

#define KEY_BYTES_MAX (4u << 20)
#define STATUS_BYTES_MAX (1u << 20)
#define BEGIN "-----BEGIN PGP "
#define END "-----END PGP "

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * The checksum line ("=abcd") is left out: gpgv reads the bytes, and broken ones give no
 * key.
 */
static char *take_line(const char *line, const char *end, char *to, struct err *err)
{
	unsigned long bits = 0;
	unsigned have = 0;

	for (const char *p = line; p < end && *p != '='; p++) {
		int six = sextet(*p);

		if (six < 0 && (*p == '\r' || *p == ' ' || *p == '\t'))
			continue;
		if (six < 0) {
			err_set(err, ERR_FAILED, "its armor is broken");
			return NULL;
		}
		bits = bits << 6 | (unsigned long)six;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*to++ = (char)(bits >> have);
			bits &= (1ul << have) - 1;
		}
	}
	return to;
}

long pgp_dearmor(char *data, size_t len, struct err *err)
{
	char *to = data, *line = data, *stop = data + len, *end;
	enum { OUTSIDE, HEADER, BODY } state = OUTSIDE;

	/* A keyring begins with the tag of a packet, which has its highest bit set. */
	if (len == 0 || (unsigned char)data[0] >= 0x80)
		return (long)len;
	for (; line < stop; line = end + 1) {
		size_t n;

		end = memchr(line, '\n', (size_t)(stop - line));
		if (!end)
			end = stop;
		n = (size_t)(end - line);
		while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
			n--;
		if (n >= strlen(BEGIN) && memcmp(line, BEGIN, strlen(BEGIN)) == 0) {
			state = HEADER;
		} else if (n >= strlen(END) && memcmp(line, END, strlen(END)) == 0) {
			state = OUTSIDE;
		} else if (state == HEADER && n == 0) {
			state = BODY;
		} else if (state == BODY && line[0] != '=') {
			to = take_line(line, line + n, to, err);
			if (!to)
				return -1;
		}
	}
	if (to == data || state != OUTSIDE)
		return err_set(err, ERR_FAILED, "neither a keyring nor an armored key");
	return to - data;
}

/* A memory file that gpgv can open by name: it inherits the descriptor. */
static int memory_file(const void *data, size_t len, char path[64], struct err *err)
{
	int fd = memfd_create("pgp", 0);

	if (fd < 0 || (len > 0 && io_pwrite(fd, data, len, 0) < 0)) {
		err_sys(err, errno, "preparing a signature check");
		io_close(&fd);
		return -1;
	}
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static int key_file(const char *key, char path[64], struct err *err)
{
	char *data;
	size_t len;
	long n;
	int fd = -1;

	if (file_read(AT_FDCWD, key, KEY_BYTES_MAX, &data, &len, err) < 0)
		return -1;
	n = pgp_dearmor(data, len, err);
	if (n < 0)
		err_prefix(err, "%s", key);
	else
		fd = memory_file(data, (size_t)n, path, err);
	free(data);
	return fd;
}

/*
 * gpgv's status lines. MD5, SHA-1 and RIPEMD-160 (RFC 4880 9.4: 1 to 3) prove nothing
 * any more. A signature by a key that we have not is as good as none: archives sign with
 * several keys, the new ones of which an older keyring lacks.
 */
static int judge(char *status, int code, struct err *err)
{
	unsigned good = 0, weak = 0, unknown = 0;
	char *line, *next;

	for (line = status; line; line = next) {
		unsigned hash = 0;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, "[GNUPG:] ", 9) != 0)
			continue;
		line += 9;
		if (strncmp(line, "BADSIG ", 7) == 0)
			return err_set(err, ERR_NO, "its signature is wrong");
		if (strncmp(line, "EXPKEYSIG ", 10) == 0 ||
		    strncmp(line, "REVKEYSIG ", 10) == 0 ||
		    strncmp(line, "EXPSIG ", 7) == 0 ||
		    strncmp(line, "NO_PUBKEY ", 10) == 0) {
			unknown++;
		} else if (sscanf(line, "VALIDSIG %*s %*s %*s %*s %*s %*s %*s %u",
				  &hash) == 1) {
			if (hash >= 8)
				good++;
			else
				weak++;
		}
	}
	if (good > 0 && (code == 0 || unknown > 0 || weak > 0))
		return 0;
	if (weak > 0)
		return err_set(err, ERR_NO, "its signature is over a weak hash");
	if (unknown > 0)
		return err_set(err, ERR_NO,
			       "it is not signed by the named key (or that has expired)");
	return err_set(err, ERR_NO, "it has no signature");
}

static int run_gpgv(const struct transport *t, const char *key, const char *output,
		    const char *data, const char *signature, struct err *err)
{
	char key_path[64], status[64], *text;
	char *argv[10] = { "gpgv", "--status-fd", "1", "--keyring", key_path };
	size_t n = 5;
	int keyfd, fd, code, rc = -1;
	ssize_t len;

	if (output) {
		argv[n++] = "--output";
		argv[n++] = (char *)output;
	}
	if (signature)
		argv[n++] = (char *)signature;
	argv[n] = (char *)data;
	keyfd = key_file(key, key_path, err);
	if (keyfd < 0)
		return -1;
	fd = memory_file("", 0, status, err);
	text = malloc(STATUS_BYTES_MAX);
	if (fd < 0 || !text)
		goto out;
	if (spawn_status(transport_tools(t), argv, NULL, fd, &code, err) < 0)
		goto out;
	len = io_pread(fd, text, STATUS_BYTES_MAX - 1, 0);
	if (len < 0) {
		err_sys(err, errno, "reading what gpgv says");
		goto out;
	}
	text[len] = '\0';
	rc = judge(text, code, err);
out:
	free(text);
	io_close(&fd);
	io_close(&keyfd);
	return rc;
}

int pgp_clear_signed(const struct transport *t, const char *key, const void *data,
		     size_t len_bytes, char **text, size_t *text_len, struct err *err)
{
	static const char head[] = "-----BEGIN PGP SIGNED MESSAGE-----";
	char path[64], out[PATH_MAX + 32], name[32];
	const char *scratch;
	int scratchfd = transport_scratch(t, &scratch), fd, rc = -1;

	*text = NULL;
	if (len_bytes < sizeof(head) || memcmp(data, head, sizeof(head) - 1) != 0)
		return err_set(err, ERR_NO, "it is not signed");
	snprintf(name, sizeof(name), ".signed.%d", (int)getpid());
	snprintf(out, sizeof(out), "%s/%s", scratch, name);
	unlinkat(scratchfd, name, 0);
	fd = memory_file(data, len_bytes, path, err);
	if (fd < 0)
		return -1;
	if (run_gpgv(t, key, out, path, NULL, err) == 0)
		rc = file_read(scratchfd, name, REPO_TOP_BYTES_MAX, text, text_len, err);
	unlinkat(scratchfd, name, 0);
	close(fd);
	return rc;
}

int pgp_detached(const struct transport *t, const char *key, const void *data,
		 size_t len_bytes, const void *signature, size_t signature_len,
		 struct err *err)
{
	char path[64], sig[64];
	int fd = memory_file(data, len_bytes, path, err), sigfd, rc = -1;

	if (fd < 0)
		return -1;
	sigfd = memory_file(signature, signature_len, sig, err);
	if (sigfd >= 0)
		rc = run_gpgv(t, key, NULL, path, sig, err);
	io_close(&sigfd);
	close(fd);
	return rc;
}
