#include "kmods/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/spawn.h"
#include "kmods/tree.h"
#include "toolkit/lib/http.h"
#include "toolkit/lib/io.h"

#define APT_PATH "/usr/lib/apt:"
#define APT_PREFIX "apt+"
#define MACHINE_CA "/etc/ssl/certs/ca-certificates.crt"
#define REDIRECTS_MAX 5
#define SITES_MAX 64
#define SHOWN "%.200s"

struct site {
	char address[256];
	char codename[64];
};

struct transport {
	struct transport_config config;
	char scratch[PATH_MAX];
	/* By its absolute name: what is not one is a path below apt's archives. */
	char offline[PATH_MAX];
	int scratchfd;
	struct site sites[SITES_MAX];
	size_t site_count;
	bool sites_read;
};

struct sink {
	int fd;
	uint64_t done, max;
};

/* apt's transport goes through the proxies that its user has. */
static const char *const proxies[] = { "http_proxy", "https_proxy", "no_proxy",
				       "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
				       "APT_CONFIG", NULL };

struct transport *transport_new(const struct transport_config *config, struct err *err)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (!t) {
		err_sys(err, errno, "starting");
		return NULL;
	}
	t->config = *config;
	t->scratchfd = -1;
	if (config->offline && !realpath(config->offline, t->offline)) {
		err_sys(err, errno, "opening %s", config->offline);
		transport_free(t);
		return NULL;
	}
	t->scratchfd = tree_open(config->scratch, err);
	if (t->scratchfd >= 0 && realpath(config->scratch, t->scratch))
		return t;
	if (t->scratchfd >= 0)
		err_sys(err, errno, "resolving %s", config->scratch);
	transport_free(t);
	return NULL;
}

void transport_free(struct transport *t)
{
	if (!t)
		return;
	io_close(&t->scratchfd);
	free(t);
}

const char *transport_tools(const struct transport *t)
{
	return t->config.tools ? t->config.tools : SPAWN_PATH;
}

int transport_scratch(const struct transport *t, const char **path)
{
	if (path)
		*path = t->scratch;
	return t->scratchfd;
}

static int too_large(uint64_t max, struct err *err)
{
	return err_set(err, ERR_FAILED, "larger than the %llu bytes that are expected",
		       (unsigned long long)max);
}

static int take(void *arg, const void *data, size_t len, struct err *err)
{
	struct sink *sink = arg;

	if (len > sink->max - sink->done)
		return too_large(sink->max, err);
	if (io_pwrite(sink->fd, data, len, sink->done) < 0)
		return err_sys(err, errno, "writing a download");
	sink->done += len;
	return 0;
}

static int copy_file(const char *path, struct sink *sink, struct err *err)
{
	char *buf = malloc(IO_CHUNK_BYTES);
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), rc = -1;
	struct stat st;
	ssize_t n;

	if (!buf) {
		err_sys(err, errno, "copying");
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(err, errno, "opening it");
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_FAILED, "not a regular file");
	} else {
		while ((n = read(fd, buf, IO_CHUNK_BYTES)) > 0) {
			if (take(sink, buf, (size_t)n, err) < 0)
				goto out;
		}
		rc = n < 0 ? err_sys(err, errno, "reading it") : 0;
	}
out:
	io_close(&fd);
	free(buf);
	return rc;
}

/*
 * The answer's hash or signature is checked, so a redirection to another host is no risk,
 * and plain http none but for who reads along.
 */
static int get_http(const struct transport *t, const char *where, struct sink *sink,
		    struct err *err)
{
	const struct http_config config = { .ca_path = t->config.ca ? t->config.ca
								    : MACHINE_CA };
	const struct http_config plain = { 0 };
	char url[HTTP_VALUE_SIZE];
	struct http *http;
	int rc = -1;

	if ((size_t)snprintf(url, sizeof(url), "%s", where) >= sizeof(url))
		return err_set(err, ERR_FAILED, "its address is too long");
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		struct http_wanted location = { .name = "Location" };
		struct http_request request = { .method = "GET",
						.url = url,
						.plain_ok = true };
		char body[512];
		struct http_response response = { .wanted = &location,
						  .n_wanted = 1,
						  .body = body,
						  .body_size = sizeof(body),
						  .write = take,
						  .write_arg = sink };
		bool tls = strncmp(url, "https:", 6) == 0;

		http = http_new(tls ? &config : &plain, err);
		if (!http)
			return -1;
		rc = http_perform(http, &request, &response, err);
		http_free(http);
		if (rc < 0)
			return -1;
		if (response.status == 200)
			return 0;
		if (response.status < 300 || response.status > 399 || !location.found)
			return err_set(err, ERR_FAILED, "the server says %d",
				       response.status);
		if (strncmp(location.value, "http://", 7) != 0 &&
		    strncmp(location.value, "https://", 8) != 0)
			return err_set(err, ERR_FAILED, "it is redirected to no address");
		if (tls && location.value[4] != 's')
			return err_set(err, ERR_FAILED,
				       "it is redirected from https to http");
		memcpy(url, location.value, sizeof(location.value));
	}
	return err_set(err, ERR_FAILED, "it is redirected too often");
}

/* By apt's own transport, proxies and all. prlimit bounds it, apt does not. */
static int get_apt(const struct transport *t, const char *url, struct sink *sink,
		   struct err *err)
{
	char path[PATH_MAX], target[PATH_MAX + 32], name[32], limit[48];
	char *argv[] = { "prlimit",
			 limit,
			 "apt-helper",
			 "-o",
			 "APT::Sandbox::User=root",
			 "-o",
			 "Acquire::Retries=2",
			 "download-file",
			 (char *)url,
			 target,
			 NULL };
	int fd, code, rc = -1;

	snprintf(name, sizeof(name), ".download.%d", (int)getpid());
	if ((size_t)snprintf(path, sizeof(path), APT_PATH "%s", transport_tools(t)) >=
		    sizeof(path) ||
	    (size_t)snprintf(target, sizeof(target), "%s/%s", t->scratch, name) >=
		    sizeof(target))
		return err_set(err, ERR_FAILED, "a name is too long");
	snprintf(limit, sizeof(limit), "--fsize=%llu", (unsigned long long)sink->max);
	if (access("/usr/lib/apt/apt-helper", X_OK) < 0)
		return err_set(err, ERR_REFUSED, "this machine has no apt");
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening /dev/null");
	unlinkat(t->scratchfd, name, 0);
	if (spawn_status(path, argv, proxies, fd, &code, err) == 0) {
		if (code != 0)
			err_set(err, ERR_FAILED,
				"apt cannot download it, or not within %llu bytes",
				(unsigned long long)sink->max);
		else
			rc = copy_file(target, sink, err);
	}
	close(fd);
	unlinkat(t->scratchfd, name, 0);
	return rc;
}

/* A line of indextargets: SITE CODENAME RELEASE. */
static void take_site(struct transport *t, char *line)
{
	char *save = NULL, *site = strtok_r(line, " ", &save);
	char *codename = strtok_r(NULL, " ", &save);
	char *release = strtok_r(NULL, " ", &save);
	struct site *s = &t->sites[t->site_count];

	if (!release || !strstr(site, "://") || t->site_count == SITES_MAX)
		return;
	/* Without an index the code name is unknown, and apt leaves the word as it is. */
	if (codename[0] == '$')
		codename = release;
	if ((size_t)snprintf(s->address, sizeof(s->address), "%s", site) >=
		    sizeof(s->address) ||
	    (size_t)snprintf(s->codename, sizeof(s->codename), "%s", codename) >=
		    sizeof(s->codename))
		return;
	for (size_t i = 0; i < t->site_count; i++) {
		if (strcmp(t->sites[i].address, s->address) == 0 &&
		    strcmp(t->sites[i].codename, s->codename) == 0)
			return;
	}
	t->site_count++;
}

static int read_sites(struct transport *t, struct err *err)
{
	char *argv[] = { "apt-get", "indextargets", "--format",
			 "$(SITE) $(CODENAME) $(RELEASE)", NULL };
	char *text, *line, *next;
	int fd, code, rc;
	ssize_t n;

	if (t->sites_read)
		return 0;
	t->sites_read = true;
	fd = memfd_create("sites", MFD_CLOEXEC);
	text = malloc(1 << 20);
	if (fd < 0 || !text) {
		rc = err_sys(err, errno, "reading the machine's archives");
		goto out;
	}
	rc = spawn_status(transport_tools(t), argv, proxies, fd, &code, err);
	if (rc < 0)
		goto out;
	n = io_pread(fd, text, (1 << 20) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		take_site(t, line);
	}
out:
	free(text);
	io_close(&fd);
	return rc;
}

/* The code name of this machine's own release; "" when it has none. */
static void own_codename(char name[64])
{
	char text[4096], *at;
	struct err ignored;

	name[0] = '\0';
	if (io_read_text(AT_FDCWD, "/etc/os-release", text, sizeof(text), NULL,
			 &ignored) < 0)
		return;
	at = strstr(text, "\nVERSION_CODENAME=");
	if (at)
		snprintf(name, 64, "%.*s", (int)strcspn(at + 18, "\n"), at + 18);
}

int transport_suite(const struct transport *transport, const char *suite, char *site,
		    size_t size, struct err *err)
{
	/* What apt is configured for does not change while we run. */
	struct transport *t = (struct transport *)transport;
	static const char security[] = "-security";
	size_t len = strlen(suite), tail = strlen(security);
	bool wants = len > tail && strcmp(suite + len - tail, security) == 0;
	char own[64], want[80];

	own_codename(own);
	snprintf(want, sizeof(want), "%s%s", own, wants ? security : "");
	if (read_sites(t, err) < 0)
		return -1;
	for (size_t i = 0; own[0] && i < t->site_count; i++) {
		if (strcmp(t->sites[i].codename, want) == 0) {
			snprintf(site, size, APT_PREFIX "%s", t->sites[i].address);
			return 0;
		}
	}
	return err_set(err, ERR_REFUSED, "this machine's apt names no archive for %s",
		       suite);
}

static int get_relative(struct transport *t, const char *where, struct sink *sink,
			struct err *err)
{
	char url[1024];

	if (read_sites(t, err) < 0)
		return -1;
	err_set(err, ERR_REFUSED, "this machine's apt names no archive");
	for (size_t i = 0; i < t->site_count; i++) {
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen = seen ||
			       strcmp(t->sites[i].address, t->sites[j].address) == 0;
		if (seen || (size_t)snprintf(url, sizeof(url), "%s/%s",
					     t->sites[i].address, where) >= sizeof(url))
			continue;
		sink->done = 0;
		if (ftruncate(sink->fd, 0) == 0 && get_apt(t, url, sink, err) == 0)
			return 0;
	}
	return -1;
}

static int get(const struct transport *transport, const char *where, struct sink *sink,
	       struct err *err)
{
	struct transport *t = (struct transport *)transport;
	int rc;

	if (strncmp(where, "file://", 7) == 0)
		rc = copy_file(where + 7, sink, err);
	else if (where[0] == '/')
		rc = copy_file(where, sink, err);
	else if (strncmp(where, APT_PREFIX, strlen(APT_PREFIX)) == 0)
		rc = get_apt(t, where + strlen(APT_PREFIX), sink, err);
	else if (strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0)
		rc = get_http(t, where, sink, err);
	else if (strstr(where, "://"))
		rc = err_set(err, ERR_USAGE, "neither http, https nor file");
	else
		rc = get_relative(t, where, sink, err);
	return rc < 0 ? err_prefix(err, SHOWN, where) : 0;
}

/* The whole of a memory file as memory of the caller's. */
static int load(int fd, uint64_t len, char **data, struct err *err)
{
	*data = malloc(len + 1);
	if (!*data || io_pread(fd, *data, len, 0) != (ssize_t)len) {
		err_sys(err, errno, "reading a download");
		free(*data);
		*data = NULL;
		return -1;
	}
	(*data)[len] = '\0';
	return 0;
}

int transport_get(const struct transport *t, const char *where, size_t max_bytes,
		  const char *sha256, char **data, size_t *len_bytes, struct err *err)
{
	char name[SHA256_HEX_SIZE + 8], hex[SHA256_HEX_SIZE];
	struct sink sink = { .max = max_bytes };
	struct err ignored;
	int rc = -1;

	*data = NULL;
	snprintf(name, sizeof(name), "index-%.64s", sha256 ? sha256 : "");
	if (sha256 &&
	    file_read(t->scratchfd, name, max_bytes, data, len_bytes, &ignored) == 0) {
		file_digest(*data, *len_bytes, hex);
		if (strcmp(hex, sha256) == 0)
			return 0;
		free(*data);
		*data = NULL;
	}
	sink.fd = memfd_create("download", MFD_CLOEXEC);
	if (sink.fd < 0)
		return err_sys(err, errno, "downloading");
	if (get(t, where, &sink, err) < 0 || load(sink.fd, sink.done, data, err) < 0)
		goto out;
	*len_bytes = sink.done;
	if (sha256) {
		file_digest(*data, *len_bytes, hex);
		if (strcmp(hex, sha256) != 0) {
			err_set(err, ERR_NO,
				SHOWN " is another file: SHA-256 %s, expected %s", where,
				hex, sha256);
			goto out;
		}
		/* A cache that cannot be written is no reason to fail. */
		file_put(t->scratchfd, name, *data, *len_bytes, 0644, false, &ignored);
	}
	rc = 0;
out:
	io_close(&sink.fd);
	if (rc < 0) {
		free(*data);
		*data = NULL;
	}
	return rc;
}

static int put_fd(int dirfd, const char *name, const struct sink *sink, const char *where,
		  const char *sha256, uint64_t size, struct err *err)
{
	char hex[SHA256_HEX_SIZE], *data;
	int rc = -1;

	if (load(sink->fd, sink->done, &data, err) < 0)
		return -1;
	file_digest(data, sink->done, hex);
	if (strcmp(hex, sha256) != 0)
		err_set(err, ERR_NO, SHOWN " is another file: SHA-256 %s, expected %s",
			where, hex, sha256);
	else if (size && size != sink->done)
		err_set(err, ERR_NO, SHOWN " is another file: %llu bytes, expected %llu",
			where, (unsigned long long)sink->done, (unsigned long long)size);
	else
		rc = file_put(dirfd, name, data, sink->done, 0644, false, err);
	free(data);
	return rc;
}

int transport_file(const struct transport *t, const char *where, const char *sha256,
		   uint64_t size_bytes, uint64_t max_bytes, const char *dir,
		   const char *name, struct err *err)
{
	uint64_t max = size_bytes && size_bytes < max_bytes ? size_bytes : max_bytes;
	struct sink sink = { .fd = -1, .max = max };
	char path[PATH_MAX];
	int dirfd = tree_open(dir, err), rc = -1;

	if (dirfd < 0)
		return -1;
	if (file_known(dirfd, name, max, sha256)) {
		rc = 0;
		goto out;
	}
	if (size_bytes > max_bytes) {
		too_large(max_bytes, err);
		goto out;
	}
	sink.fd = memfd_create("download", MFD_CLOEXEC);
	if (sink.fd < 0) {
		err_sys(err, errno, "downloading");
		goto out;
	}
	if (t->config.offline &&
	    (size_t)snprintf(path, sizeof(path), "%s/%s", t->offline, name) <
		    sizeof(path) &&
	    access(path, F_OK) == 0)
		where = path;
	if (get(t, where, &sink, err) == 0)
		rc = put_fd(dirfd, name, &sink, where, sha256, size_bytes, err);
out:
	io_close(&sink.fd);
	close(dirfd);
	return rc;
}
