/*
 * Stays there, for tests of what a look at the guest finds: hold [bpf]. With bpf it holds
 * a program of BPF that was loaded and is attached to nothing, named fvol_planted. Prints
 * "ready" when it is.
 */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(void)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_TRACEPOINT;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (uint64_t)(uintptr_t) "GPL";
	strcpy(attr.prog_name, "fvol_planted");
	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "bpf") == 0 && load() < 0) {
		perror("hold: loading a program of BPF");
		return 5;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
