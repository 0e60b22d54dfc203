/*
 * Runs a program as somebody who may less: as UID [no-ptrace] PROGRAM [ARGUMENT...]. With
 * no-ptrace CAP_SYS_PTRACE can not be had any more. The small userlands of test guests
 * have nothing that takes a capability away.
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
	int at = 2;
	uid_t uid;

	if (argc < 3)
		goto usage;
	uid = (uid_t)strtoul(argv[1], NULL, 10);
	if (strcmp(argv[at], "no-ptrace") == 0) {
		if (prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) < 0) {
			perror("as: CAP_SYS_PTRACE");
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
	fputs("usage: as UID [no-ptrace] PROGRAM [ARGUMENT...]\n", stderr);
	return 2;
}
