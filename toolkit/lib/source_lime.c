/*
 * The LiME module of the catalogue as a source: limeload.h loads it and holds its stream,
 * limestream.h reads that. The module file is taken from the volume past the page cache,
 * and loaded from the very memory whose hash was checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/lib/catversion.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/limecat.h"
#include "toolkit/lib/limeload.h"
#include "toolkit/lib/limestream.h"
#include "toolkit/lib/source.h"
#include "toolkit/lib/sourceutil.h"
#include "toolkit/lib/volume.h"

/* The longest silence: a stream of memory that stalls for so long has ended. */
#define STALL_MS 30000

struct lime {
	struct limeload load;
	struct limestream stream;
};

/* The release becomes a directory's name. */
static bool good_name(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.+~";

	return name[0] && name[0] != '.' && strspn(name, good) == strlen(name);
}

/* What limecat_find() asks for, read from this machine. */
struct running {
	struct utsname name;
	struct host host;
	char build_id[HOST_BUILD_ID_SIZE];
	char version[1024];
	struct limecat_kernel kernel;
};

/* False, with a verdict of its own, when there is nothing to look for. */
static bool ask_kernel(const struct source_env *env, struct running *r)
{
	struct err ignored;

	host_read(env->proc_dirfd, env->sys_dirfd, &r->host);
	if (!env->kmods_dir || uname(&r->name) < 0 || !good_name(r->host.release))
		return false;
	host_build_id(env->sys_dirfd, r->build_id);
	if (io_read_text(env->proc_dirfd, "version", r->version, sizeof(r->version), NULL,
			 &ignored) < 0)
		r->version[0] = '\0';
	r->kernel = (struct limecat_kernel){
		.arch = r->name.machine,
		.release = r->host.release,
		.build_id = r->build_id,
		.version = r->version,
		.least = env->catalogue_least,
	};
	return true;
}

/*
 * How trust comes here: the document (or the responder) brings the hash of MANIFEST, the
 * MANIFEST has that of the catalogue, the catalogue has those of the modules. No key is
 * needed for it, so the catalogue's own signature is for those who have the catalogue and
 * no image. Each text is hashed in the memory from which it is then used.
 */
static int check_catalogue(int kmods_fd, const char *manifest_sha256, const char *text,
			   size_t len_bytes, struct err *err)
{
	uint8_t want[SHA256_LEN], digest[SHA256_LEN];
	int rc, rootfd;

	rootfd = openat(kmods_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return err_sys(err, errno, "opening the root of the volume");
	rc = volume_listed(rootfd, manifest_sha256, CATVERSION_CATALOGUE, want, err);
	io_close(&rootfd);
	if (rc < 0)
		return -1;
	sha256(text, len_bytes, digest);
	if (memcmp(digest, want, sizeof(want)) != 0)
		return err_set(err, ERR_NO, "it is not what MANIFEST lists");
	return 0;
}

/* This machine's entry: 1; 0 when none fits, -1 on failure, err saying why. */
static int find_module(const struct source_env *env, const struct limecat_kernel *kernel,
		       struct limecat_module *module, struct err *err)
{
	int dirfd = open(env->kmods_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *text = NULL;
	int fd = -1, rc = -1;
	size_t len;

	if (dirfd < 0)
		return err_sys(err, errno, "opening %s", env->kmods_dir);
	fd = io_open_direct(dirfd, "catalogue.json", false, err);
	if (fd >= 0)
		text = io_read_direct(fd, LIMECAT_BYTES_MAX, &len, err);
	if (text && (!env->manifest_sha256 ||
		     check_catalogue(dirfd, env->manifest_sha256, text, len, err) == 0))
		rc = limecat_find(text, len, kernel, module, err);
	free(text);
	io_close(&fd);
	io_close(&dirfd);
	if (rc < 0)
		err_prefix(err, "catalogue.json");
	return rc;
}

/* Why not, by what the kernel says of itself; false when nothing speaks against it. */
static bool refused_by_host(const struct host *host, int proc_dirfd,
			    struct source_verdict *verdict)
{
	const char *why = NULL;

	if (!host_may(host, HOST_CAP_SYS_MODULE))
		why = "loading a module needs CAP_SYS_MODULE, which this process lacks";
	else if (host->modules_disabled)
		why = "modules_disabled: no module loads until the next boot";
	else if (host->lockdown == LOCKDOWN_CONFIDENTIALITY ||
		 host->lockdown == LOCKDOWN_INTEGRITY)
		why = "lockdown refuses modules that are not signed";
	else if (host->sig_enforce)
		why = "sig_enforce: the kernel refuses modules that are not signed";
	else if (limeload_present(proc_dirfd) > 0)
		why = "a module named lime is loaded already";
	if (why)
		verdict_set(verdict, false, "%s", why);
	return why != NULL;
}

static void probe(const struct source_env *env, const struct ranges *ranges,
		  struct source_verdict *verdict)
{
	struct limecat_module module;
	struct err err = { 0 };
	struct running r;
	bool asked;

	(void)ranges;
	asked = ask_kernel(env, &r);
	if (refused_by_host(&r.host, env->proc_dirfd, verdict))
		return;
	if (!asked)
		verdict_set(verdict, false, "no catalogue of modules was given");
	else if (find_module(env, &r.kernel, &module, &err) != 1)
		verdict_set(verdict, false, "%s", err.text);
	else if (!module.tested && !env->allow_untested)
		verdict_set(verdict, false,
			    "the module for %s was not boot-tested on that kernel",
			    r.host.release);
	else
		verdict_set(verdict, true, "a module for %s%s, %s, %s", r.host.release,
			    module.by_build_id ? ", by its build id"
					       : ", by name and vermagic alone",
			    module.tested ? "boot-tested" : "not boot-tested",
			    module.modversions
				    ? "whose symbol versions the kernel compares"
				    : "without symbol versions (modversions)");
}

/* Reads KMODS/ARCH/RELEASE/lime.ko, checked; the caller frees it. NULL on failure. */
static char *read_module(const char *kmods_dir, const char *arch, const char *release,
			 const struct limecat_module *module, struct err *err)
{
	uint8_t digest[SHA256_LEN];
	char path[512];
	char *data = NULL;
	size_t len;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s/lime.ko", kmods_dir, arch,
			     release) >= sizeof(path)) {
		err_set(err, ERR_FAILED, "the path of the module is too long");
		return NULL;
	}
	fd = io_open_direct(AT_FDCWD, path, false, err);
	if (fd < 0)
		return NULL;
	data = io_read_direct(fd, (size_t)module->size_bytes, &len, err);
	io_close(&fd);
	if (!data) {
		err_prefix(err, "%s", path);
		return NULL;
	}
	sha256(data, len, digest);
	if (len == module->size_bytes &&
	    memcmp(digest, module->sha256, sizeof(digest)) == 0)
		return data;
	err_set(err, ERR_NO, "%s is not the module of the catalogue", path);
	free(data);
	return NULL;
}

static int open_lime(struct source *source, const struct source_env *env,
		     const struct ranges *ranges, struct err *err)
{
	static struct lime lime;
	struct source_verdict verdict;
	struct limecat_module module;
	struct running r;
	char *data;
	int rc;

	lime = (struct lime){ .load = { .status_fd = -1, .socket = -1 } };
	source->state = &lime;
	if (source_need_real_proc(env, err) < 0)
		return -1;
	probe(env, ranges, &verdict);
	if (!verdict.usable)
		return err_set(err, ERR_REFUSED, "%s", verdict.reason);
	if (!ask_kernel(env, &r) || find_module(env, &r.kernel, &module, err) != 1)
		return err_set(err, ERR_FAILED, "the catalogue changed meanwhile");
	data = read_module(env->kmods_dir, r.name.machine, r.host.release, &module, err);
	if (!data)
		return -1;
	rc = limeload_start(&lime.load, env->proc_dirfd, data, (size_t)module.size_bytes,
			    err);
	free(data);
	if (rc == 0)
		limestream_init(&lime.stream, lime.load.socket, ranges, STALL_MS,
				(uint64_t)sysconf(_SC_PAGESIZE));
	else
		/* What the kernel said of the load is the better sentence; and a client
		 * that was first gets no more. */
		(void)limeload_stop(&lime.load, err);
	return rc;
}

static ssize_t read_lime(struct source *source, uint64_t phys, void *buf, size_t len)
{
	struct lime *lime = source->state;

	return limestream_read(&lime->stream, phys, buf, len);
}

static uint64_t hole_lime(struct source *source, uint64_t phys, uint64_t len)
{
	const struct lime *lime = source->state;

	return limestream_hole(&lime->stream, phys, len);
}

static int close_lime(struct source *source, struct err *err)
{
	struct lime *lime = source->state;
	int rc;

	if (!lime)
		return 0;
	source->state = NULL;
	rc = limeload_stop(&lime->load, err);
	return rc;
}

const struct source_ops source_lime = {
	.name = "lime",
	.sequential = true,
	.loads_code = true,
	.probe = probe,
	.open = open_lime,
	.read = read_lime,
	.hole = hole_lime,
	.close = close_lime,
};
