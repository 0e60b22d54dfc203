/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Structures that plugins need and that the kernel keeps in headers of its own, which no
 * package has: fs/mount.h, kernel/module/sysfs.c, kernel/printk/printk.c. Described here
 * as far as plugins read them, and only for kernels where the version tells how they
 * look. They are left out where it does not: stable releases of one series differ (struct
 * mount in 6.8 to 6.12, netlink_sock, prb_desc_ring), or nobody has compared them. A
 * plugin then says that a type is missing, which is better than what it would make of a
 * wrong one.
 */
#ifndef FVOL_PRIVATE_H
#define FVOL_PRIVATE_H

#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mount.h>
#include <linux/ns_common.h>
#include <linux/rbtree_latch.h>
#include <linux/sysfs.h>
#include <linux/types.h>
#include <linux/version.h>

#define FVOL_SINCE(a, b) (LINUX_VERSION_CODE >= KERNEL_VERSION(a, b, 0))
#define FVOL_BEFORE(a, b) (LINUX_VERSION_CODE < KERNEL_VERSION(a, b, 0))

/* The compiler's plugin shuffles what it is told to, each structure in its own way. */
#if !defined(CONFIG_RANDSTRUCT) && !defined(CONFIG_GCC_PLUGIN_RANDSTRUCT)

#if FVOL_SINCE(4, 14) && FVOL_BEFORE(6, 8)
struct mnt_pcp;
struct mountpoint;
struct mount;

struct mnt_namespace {
#if FVOL_BEFORE(5, 11)
	atomic_t count;
#endif
	struct ns_common ns;
	struct mount *root;
	struct list_head list;
};

struct mount {
	struct hlist_node mnt_hash;
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	union {
		struct rcu_head mnt_rcu;
		struct llist_node mnt_llist;
	};
#ifdef CONFIG_SMP
	struct mnt_pcp *mnt_pcp;
#else
	int mnt_count, mnt_writers;
#endif
	struct list_head mnt_mounts, mnt_child, mnt_instance;
	const char *mnt_devname;
	struct list_head mnt_list, mnt_expire, mnt_share, mnt_slave_list, mnt_slave;
	struct mount *mnt_master;
	struct mnt_namespace *mnt_ns;
	struct mountpoint *mnt_mp;
	struct hlist_node mnt_mp_list;
	struct list_head mnt_umounting;
#ifdef CONFIG_FSNOTIFY
	void *mnt_fsnotify_marks;
	__u32 mnt_fsnotify_mask;
#endif
	int mnt_id, mnt_group_id, mnt_expiry_mark;
};

struct mount *fvol_mount;
struct mnt_namespace *fvol_mnt_namespace;
#endif

#if FVOL_SINCE(5, 8) && FVOL_BEFORE(6, 13)
struct module_sect_attr {
	struct bin_attribute battr;
	unsigned long address;
};

struct module_sect_attrs {
	struct attribute_group grp;
	unsigned int nsections;
	struct module_sect_attr attrs[];
};

struct module_sect_attrs *fvol_module_sect_attrs;
#endif

/* Tells lsmod where the modules are. */
#if FVOL_SINCE(4, 14) && FVOL_BEFORE(7, 3)
struct mod_tree_root {
	struct latch_tree_root root;
	unsigned long addr_min, addr_max;
};

struct mod_tree_root *fvol_mod_tree_root;
#endif

#endif /* not shuffled */

/* A record of the kernel's log, before it had a ring of descriptors. */
#if FVOL_SINCE(4, 14) && FVOL_BEFORE(5, 10)
#ifdef CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS
#define FVOL_PACKED __packed __aligned(4)
#else
#define FVOL_PACKED
#endif

struct printk_log {
	u64 ts_nsec;
	u16 len, text_len, dict_len;
	u8 facility;
	u8 flags : 5;
	u8 level : 3;
#ifdef CONFIG_PRINTK_CALLER
	u32 caller_id;
#endif
} FVOL_PACKED;

struct printk_log *fvol_printk_log;
#endif

#endif
