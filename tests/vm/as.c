/*
 * Runs a program as somebody who may less: as UID [no-ptrace|no-rawio] PROGRAM
 * [ARGUMENT...]. With no-ptrace CAP_SYS_PTRACE can not be had any more, with no-rawio
 * CAP_SYS_RAWIO. The small userlands of test guests have nothing that takes a capability
 * away.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int at = 2, drop = -1;
	uid_t uid;

	if (argc < 3)
		goto usage;
	uid = (uid_t)strtoul(argv[1], NULL, 10);
	if (strcmp(argv[at], "no-ptrace") == 0)
		drop = CAP_SYS_PTRACE;
	else if (strcmp(argv[at], "no-rawio") == 0)
		drop = CAP_SYS_RAWIO;
	if (drop >= 0) {
		if (prctl(PR_CAPBSET_DROP, drop, 0, 0, 0) < 0) {
			perror("as: dropping a capability");
			return 5;
		}
		at++;
	}
	if (at == argc)
		goto usage;
	if (uid && (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0)) {
		perror("as: becoming another user");
		return 5;
	}
	execv(argv[at], argv + at);
	perror(argv[at]);
	return errno == ENOENT ? 127 : 126;
usage:
	fputs("usage: as UID [no-ptrace|no-rawio] PROGRAM [ARGUMENT...]\n", stderr);
	return 2;
}
