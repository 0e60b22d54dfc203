/*
 * What triage says of the network, alone: takes a census of /proc as it is here and
 * prints the records of collect_network(). For namespaces that a test made, never for the
 * machine that it runs on.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/triagelines.h"
#include "toolkit/lib/clock.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/triage/triage.h"

static void read_comm(int dirfd, struct person *person)
{
	int fd = openat(dirfd, "comm", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	if (len > 0) {
		person->comm_len = (uint8_t)(len - 1);
		memcpy(person->comm, text, person->comm_len);
	}
	if (fd >= 0)
		close(fd);
}

static void read_fds(struct triage *t, int dirfd, struct person *person)
{
	int fd = openat(dirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	person->fds_read = dir != NULL;
	while (dir && (entry = readdir(dir))) {
		char link[64] = "";
		struct stat st;

		if (readlinkat(fd, entry->d_name, link, sizeof(link) - 1) <= 0)
			continue;
		if (!strncmp(link, "socket:", 7))
			census_add_owner(&t->census, procfile_inode_of(link), person->pid,
					 atoi(entry->d_name));
		if (strncmp(link, "socket:", 7) != 0 &&
		    fstatat(fd, entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) {
			struct known_file *file = census_add_file(
				&t->census, major(st.st_dev), minor(st.st_dev), st.st_ino,
				link, FILE_ROLE_FD, person->pid);

			snprintf(file->via, sizeof(file->via), "%d/fd/%d", person->pid,
				 atoi(entry->d_name));
		}
	}
	if (dir)
		closedir(dir);
}

static void take_census(struct triage *t)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct person person = { .pid = atoi(entry->d_name), .start_ticks = 1 };
		int dirfd;

		if (person.pid <= 0)
			continue;
		dirfd = openat(t->procfd, entry->d_name, O_PATH | O_CLOEXEC);
		if (dirfd < 0)
			continue;
		person.netns = procfile_namespace(dirfd, "ns/net");
		person.mntns = procfile_namespace(dirfd, "ns/mnt");
		read_comm(dirfd, &person);
		read_fds(t, dirfd, &person);
		census_add_person(&t->census, &person);
		close(dirfd);
	}
	if (dir)
		closedir(dir);
	census_sort(&t->census);
}

int main(void)
{
	struct triage t = { .live = true };
	struct host host;
	struct err err = { 0 };
	int64_t begun;

	t.procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.sysfd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.rootfd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host_identify(t.procfd, &host);
	t.capabilities = host.capabilities;
	t.self_pid = getpid();
	take_census(&t);
	begun = clock_ns(CLOCK_MONOTONIC);
	if (collect_network(&t, &err) < 0)
		return err_report(&err, "netcollect");
	fprintf(stderr, "%lld us\n",
		(long long)(clock_ns(CLOCK_MONOTONIC) - begun) / 1000);
	fputs(triage_lines, stdout);
	census_free(&t.census);
	return fflush(stdout) ? 5 : 0;
}
