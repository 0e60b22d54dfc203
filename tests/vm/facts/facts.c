// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's own headers and compiler say of its structures, for the test of
 * symbol files: /proc/fvol_facts has a line for each fact. Loaded in test guests only.
 *   member STRUCT MEMBER OFFSET SIZE
 *   bit STRUCT MEMBER FIRST-BIT BITS      (of bitfields: found by setting them)
 *   size STRUCT SIZE
 *   value ENUM CONSTANT VALUE
 *   address SYMBOL ADDRESS
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mm_types.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/utsname.h>
#include <net/af_unix.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#define MEMBER(s, m)                                                                     \
	seq_printf(out, "member %s %s %zu %zu\n", #s, #m, offsetof(struct s, m),         \
		   sizeof(((struct s *)0)->m))
#define SIZE(s) seq_printf(out, "size %s %zu\n", #s, sizeof(struct s))
#define VALUE(e, c) seq_printf(out, "value %s %s %lld\n", #e, #c, (long long)c)
/* Sets all bits of the field and looks where they are. */
#define BITFIELD(s, m)                                                                   \
	do {                                                                             \
		struct s *zeroed = kzalloc(sizeof(*zeroed), GFP_KERNEL);                 \
                                                                                         \
		if (zeroed) {                                                            \
			zeroed->m = ~0;                                                  \
			show_bits(out, #s, #m, zeroed, sizeof(*zeroed));                 \
			kfree(zeroed);                                                   \
		}                                                                        \
	} while (0)

static void show_bits(struct seq_file *out, const char *name, const char *member,
		      const void *data, size_t len)
{
	size_t first = find_first_bit(data, len * 8);
	size_t end = find_next_zero_bit(data, len * 8, first);

	seq_printf(out, "bit %s %s %zu %zu\n", name, member, first, end - first);
}

static void show_tasks(struct seq_file *out)
{
	SIZE(task_struct);
	MEMBER(task_struct, flags);
	MEMBER(task_struct, tasks);
	MEMBER(task_struct, mm);
	MEMBER(task_struct, exit_state);
	MEMBER(task_struct, pid);
	MEMBER(task_struct, tgid);
	MEMBER(task_struct, real_parent);
	MEMBER(task_struct, parent);
	MEMBER(task_struct, children);
	MEMBER(task_struct, sibling);
	MEMBER(task_struct, group_leader);
	MEMBER(task_struct, thread_pid);
	MEMBER(task_struct, start_time);
	MEMBER(task_struct, cred);
	MEMBER(task_struct, comm);
	MEMBER(task_struct, fs);
	MEMBER(task_struct, files);
	MEMBER(task_struct, nsproxy);
	MEMBER(task_struct, signal);
	BITFIELD(task_struct, sched_reset_on_fork);
	BITFIELD(task_struct, in_iowait);
	BITFIELD(task_struct, no_cgroup_migration);
	MEMBER(cred, uid);
	MEMBER(cred, cap_effective);
	MEMBER(nsproxy, net_ns);
	MEMBER(signal_struct, thread_head);
	MEMBER(signal_struct, tty);
	MEMBER(pid, level);
	MEMBER(pid_namespace, idr);
	VALUE(pid_type, PIDTYPE_TGID);
	VALUE(pid_type, PIDTYPE_SID);
}

static void show_memory(struct seq_file *out)
{
	SIZE(mm_struct);
	MEMBER(mm_struct, pgd);
	MEMBER(mm_struct, start_code);
	MEMBER(mm_struct, start_stack);
	MEMBER(mm_struct, arg_start);
	MEMBER(mm_struct, env_end);
	MEMBER(mm_struct, exe_file);
	SIZE(vm_area_struct);
	MEMBER(vm_area_struct, vm_start);
	MEMBER(vm_area_struct, vm_end);
	MEMBER(vm_area_struct, vm_flags);
	MEMBER(vm_area_struct, vm_pgoff);
	MEMBER(vm_area_struct, vm_file);
	SIZE(page);
	MEMBER(page, mapping);
	MEMBER(page, index);
}

static void show_files(struct seq_file *out)
{
	MEMBER(files_struct, fdt);
	MEMBER(fdtable, fd);
	MEMBER(fdtable, max_fds);
	MEMBER(fs_struct, root);
	SIZE(file);
	MEMBER(file, f_path);
	MEMBER(file, f_inode);
	MEMBER(file, f_op);
	SIZE(dentry);
	MEMBER(dentry, d_parent);
	MEMBER(dentry, d_name);
	MEMBER(dentry, d_inode);
	MEMBER(qstr, len);
	MEMBER(qstr, name);
	SIZE(inode);
	MEMBER(inode, i_mode);
	MEMBER(inode, i_uid);
	MEMBER(inode, i_sb);
	MEMBER(inode, i_mapping);
	MEMBER(inode, i_ino);
	MEMBER(inode, i_nlink);
	MEMBER(inode, i_size);
	MEMBER(super_block, s_type);
	MEMBER(super_block, s_id);
	MEMBER(address_space, i_pages);
	MEMBER(address_space, nrpages);
}

static void show_net(struct seq_file *out)
{
	MEMBER(socket, type);
	MEMBER(socket, sk);
	SIZE(sock);
	MEMBER(sock, sk_protocol);
	MEMBER(sock, sk_type);
	MEMBER(sock, sk_socket);
	BITFIELD(sock, sk_kern_sock);
	MEMBER(inet_sock, inet_sport);
	MEMBER(inet_sock, inet_saddr);
	MEMBER(unix_sock, addr);
	MEMBER(unix_sock, peer);
	SIZE(net);
	MEMBER(net, ns);
	MEMBER(net, proc_net);
	MEMBER(net_device, name);
	MEMBER(net_device, ifindex);
}

static void show_rest(struct seq_file *out)
{
	SIZE(module);
	MEMBER(module, state);
	MEMBER(module, list);
	MEMBER(module, name);
	MEMBER(module, mkobj);
	MEMBER(module, kallsyms);
	VALUE(module_state, MODULE_STATE_UNFORMED);
	MEMBER(tty_driver, tty_drivers);
	MEMBER(tty_driver, ttys);
	MEMBER(tty_struct, name);
	MEMBER(new_utsname, release);
	MEMBER(resource, child);
	MEMBER(kobject, kref);
	seq_printf(out, "address init_task %lx\n", (unsigned long)&init_task);
	seq_printf(out, "address init_pid_ns %lx\n", (unsigned long)&init_pid_ns);
}

static int show(struct seq_file *out, void *unused)
{
	show_tasks(out);
	show_memory(out);
	show_files(out);
	show_net(out);
	show_rest(out);
	return 0;
}

static int __init facts_init(void)
{
	return proc_create_single("fvol_facts", 0400, NULL, show) ? 0 : -ENOMEM;
}

static void __exit facts_exit(void)
{
	remove_proc_entry("fvol_facts", NULL);
}

module_init(facts_init);
module_exit(facts_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("offsets of the kernel's structures, for tests of fvol");
