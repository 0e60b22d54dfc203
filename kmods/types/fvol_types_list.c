// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names the types that a symbol file for Volatility must have and those that its plugins
 * ask for, so that the compiler writes them into the module's debugging information:
 * where a kernel has no BTF its symbol file takes its types from here (kmods build
 * --symbols). It is compiled and read, never loaded.
 *
 * NEED fails to compile where a kernel has no such type: without it Volatility does not
 * load the file. What plugins ask for beyond that is taken as the headers have it.
 * Written for headers from 4.14 on; compiled with those
 * of 4.19, 5.8, 5.10, 6.1, 6.12, 7.2.
 */
/* Before others: of structures without a name that look alike pahole keeps the first, and
 * kernel_cap_t would be called pfn_t. */
#include <linux/capability.h>

#include <linux/version.h>

#include <asm/processor.h>
#include <asm/ptrace.h>
#include <linux/blkdev.h>
#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/elf.h>
#include <linux/fb.h>
#include <linux/fdtable.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/ftrace.h>
#include <linux/idr.h>
#include <linux/inetdevice.h>
#include <linux/ioport.h>
#include <linux/ipc_namespace.h>
#include <linux/ipv6.h>
#include <linux/kernel.h>
#include <linux/kernfs.h>
#include <linux/keyboard.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/notifier.h>
#include <linux/ns_common.h>
#include <linux/nsproxy.h>
#include <linux/path.h>
#include <linux/perf_event.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/radix-tree.h>
#include <linux/rbtree.h>
#include <linux/rbtree_latch.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/timekeeper_internal.h>
#include <linux/tracepoint.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_ldisc.h>
#include <linux/udp.h>
#include <linux/user_namespace.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include <net/af_unix.h>
#include <net/af_vsock.h>
#include <net/bluetooth/bluetooth.h>
#include <net/bluetooth/hci_core.h>
#include <net/bluetooth/l2cap.h>
#include <net/bluetooth/rfcomm.h>
#include <net/if_inet6.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>
#include <net/netns/netfilter.h>
#include <net/raw.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/udp.h>
#ifdef CONFIG_X86
#include <asm/desc_defs.h>
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(4, 18, 0)
#include <net/xdp_sock.h>
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(4, 20, 0)
#include <linux/xarray.h>
#endif
/* A header of a later kernel, which distributions also carry back. */
#ifdef __has_include
#if __has_include(<linux/maple_tree.h>)
#include <linux/maple_tree.h>
#endif
#if __has_include(<linux/genhd.h>)
#include <linux/genhd.h>
#endif
#endif

#include "fvol_private.h"

#define NEED(tag)                                                                        \
	struct tag *fvol_##tag;                                                          \
	_Static_assert(sizeof(struct tag) > 0, "struct " #tag)

/* isf_required_types (toolkit/lib/isf_known.c), in its order. */
NEED(file);
NEED(list_head);
NEED(hlist_head);
NEED(mm_struct);
NEED(super_block);
NEED(task_struct);
NEED(vm_area_struct);
NEED(qstr);
NEED(dentry);
NEED(fs_struct);
NEED(files_struct);
NEED(kobject);
NEED(cred);
NEED(inode);
NEED(idr);
NEED(address_space);
NEED(page);
NEED(vfsmount);
NEED(net);
NEED(socket);
NEED(sock);
NEED(inet_sock);
NEED(unix_sock);

MODULE_DESCRIPTION("types of this kernel, to be read and not to be loaded");
MODULE_LICENSE("GPL");
