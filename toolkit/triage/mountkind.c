#include "toolkit/triage/mountkind.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/triage/textlines.h"

#define LINE_BYTES 16384
#define TABLE_BYTES ((uint64_t)64 << 20)
/* A host has a few dozen; what is beyond is looked up again each time. */
#define KEPT_MAX 1024

static struct {
	pthread_mutex_t lock;
	struct {
		unsigned major, minor;
		enum mount_kind kind;
	} kept[KEPT_MAX];
	size_t count;
} known = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum mount_kind kind_of_type(const char *type)
{
	static const char *const others[] = {
		"nfs",	  "nfs4", "cifs", "smb3",     "smbfs",	 "9p",
		"afs",	  "ceph", "coda", "virtiofs", "fuseblk", "orangefs",
		"lustre", "gpfs", "fuse", "pvfs2",
	};

	if (strcmp(type, "autofs") == 0)
		return MOUNT_AUTOFS;
	if (strncmp(type, "fuse.", 5) == 0)
		return MOUNT_OTHERS;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(type, others[i]) == 0)
			return MOUNT_OTHERS;
	return MOUNT_LOCAL;
}

static enum mount_kind look_up(const struct triage *t, unsigned major, unsigned minor)
{
	enum mount_kind kind = MOUNT_UNKNOWN;
	struct mountinfo_line mount;
	struct textlines lines;
	char *buf = malloc(LINE_BYTES), *line;
	size_t len;
	int fd = openat(t->procfd, "self/mountinfo", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (buf && fd >= 0) {
		textlines_begin(&lines, fd, buf, LINE_BYTES, TABLE_BYTES);
		while (kind == MOUNT_UNKNOWN && (line = textlines_next(&lines, &len)))
			if (mountinfo_split(line, &mount) && mount.major == major &&
			    mount.minor == minor)
				kind = kind_of_type(mount.type);
	}
	io_close(&fd);
	free(buf);
	return kind;
}

/* Under the lock. False when it is not kept. */
static bool is_kept(unsigned major, unsigned minor, enum mount_kind *kind)
{
	for (size_t i = 0; i < known.count; i++)
		if (known.kept[i].major == major && known.kept[i].minor == minor) {
			*kind = known.kept[i].kind;
			return true;
		}
	return false;
}

enum mount_kind mount_kind_of(const struct triage *t, unsigned major, unsigned minor)
{
	enum mount_kind kind, ignored;
	bool kept;

	pthread_mutex_lock(&known.lock);
	kept = is_kept(major, minor, &kind);
	pthread_mutex_unlock(&known.lock);
	if (kept)
		return kind;
	/* Not under the lock: whoever is left behind in it would keep it. */
	kind = look_up(t, major, minor);
	pthread_mutex_lock(&known.lock);
	if (known.count < KEPT_MAX && !is_kept(major, minor, &ignored)) {
		known.kept[known.count].major = major;
		known.kept[known.count].minor = minor;
		known.kept[known.count++].kind = kind;
	}
	pthread_mutex_unlock(&known.lock);
	return kind;
}
