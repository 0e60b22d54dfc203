#include "toolkit/triage/oddpath.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool odd_temporary(const char *path)
{
	static const char *const places[] = { "/tmp/",	       "/var/tmp/", "/dev/shm/",
					      "/run/user/",    "/run/shm/", "/run/lock/",
					      "/var/run/user/" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(path, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

bool odd_place(const char *path)
{
	size_t len = strcspn(path, " \t\r\n");

	return odd_temporary(path) || memmem(path, len, "/.", 2);
}

static bool one_of(const char *text, const char *const *known, size_t count)
{
	size_t len = strcspn(text, " \t");

	for (size_t i = 0; i < count; i++)
		if (strlen(known[i]) == len && memcmp(text, known[i], len) == 0)
			return true;
	return false;
}

bool odd_core_program(const char *command, enum triage_severity *severity)
{
	static const char *const known[] = {
		"/lib/systemd/systemd-coredump",
		"/usr/lib/systemd/systemd-coredump",
		"/usr/share/apport/apport",
		"/usr/libexec/abrt-hook-ccpp",
		"/usr/lib/abrt-hook-ccpp",
		"/bin/false",
		"/usr/bin/false",
		"/bin/true",
		"/usr/bin/true",
		"/sbin/crash_reporter",
	};

	*severity = odd_place(command) ? SEVERITY_HIGH : SEVERITY_MEDIUM;
	return !one_of(command, known, sizeof(known) / sizeof(known[0]));
}

bool odd_modprobe(const char *path, enum triage_severity *severity)
{
	static const char *const known[] = {
		"/sbin/modprobe",
		"/usr/sbin/modprobe",
		"/usr/bin/modprobe",
		"/bin/modprobe",
		"/run/current-system/sw/bin/modprobe",
		"/bin/true",
		"/bin/false",
		"/usr/bin/true",
		"/usr/bin/false",
		/* Is not there: modules are not to be loaded. */
		"/disabled",
		"none",
	};

	*severity = odd_place(path) ? SEVERITY_HIGH : SEVERITY_MEDIUM;
	return !one_of(path, known, sizeof(known) / sizeof(known[0]));
}

void odd_binfmt_list(int dirfd, struct json *doc, struct json_node *array)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		struct json_node *one;
		char text[1024];
		ssize_t n;
		int file;

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "register") == 0 ||
		    strcmp(entry->d_name, "status") == 0)
			continue;
		file = openat(dirfd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (file < 0)
			continue;
		n = read(file, text, sizeof(text));
		close(file);
		one = json_add_object(doc, array, NULL);
		triage_add_text(doc, one, "name", entry->d_name, strlen(entry->d_name));
		if (n > 0)
			triage_add_text(doc, one, "text", text, (size_t)n);
	}
	closedir(dir);
}
