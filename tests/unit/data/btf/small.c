/*
 * Where small.btf comes from: what a kernel's types can look like, in a few lines.
 *   gcc -g -c small.c && pahole --btf_encode_detached=small.btf small.o
 * with other.c of which the second structure "twin" comes:
 *   gcc -g -c -DOTHER -o other.o small.c && ld -r -o both.o small.o other.o
 */
typedef unsigned int u32;
typedef unsigned long u64;
typedef _Bool boolean;

#ifdef OTHER
struct twin {
	u64 other[3];
};
struct twin twin_b;
#else
struct twin {
	char first;
};
struct twin twin_a;

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
typedef struct {
	int counter;
} atomic_t;
enum state { STATE_RUNNING, STATE_SLEEPING = 1, STATE_DEAD = -1 };
enum wide { WIDE_LOW = 1, WIDE_HIGH = 0x8000000000000000ul };
enum mask { MASK_LOW = 1, MASK_TOP = 0x80000000u };
struct declared_only;
struct unreachable {
	long nobody_uses_it;
};
struct unreachable unreachable;

struct qstr {
	union {
		struct {
			u32 hash, len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
};
struct kobject {
	const char *name;
	struct list_head entry;
};
struct cred {
	atomic_t usage;
	u32 uid;
};
struct idr {
	void *root;
};
struct page {
	unsigned long flags;
	union {
		struct list_head lru;
		atomic_t count;
	};
};
struct address_space {
	struct inode *host;
};
struct super_block {
	struct list_head s_list;
};
struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
};
struct dentry {
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct file {
	struct inode *f_inode;
	long (*read)(struct file *, char *, u64);
};
struct fs_struct {
	int users;
};
struct files_struct {
	struct file *fd_array[64];
};
struct vm_area_struct {
	unsigned long vm_start, vm_end;
};
struct mm_struct {
	struct vm_area_struct *mmap;
};
struct net {
	struct list_head list;
};
struct socket {
	short type;
};
struct sock {
	struct net *net;
};
struct inet_sock {
	struct sock sk;
};
struct unix_sock {
	struct sock sk;
};
struct pid_link {
	struct hlist_node node;
};

struct task_struct {
	volatile enum state state;
	unsigned in_execve : 1;
	unsigned in_iowait : 1;
	unsigned : 6;
	unsigned sched_remote_wakeup : 12;
	boolean on_rq;
	char comm[16];
	struct task_struct *parent;
	struct list_head tasks, *heads[3][5];
	struct pid_link pids[4];
	union {
		u64 both;
		struct {
			u32 low, high;
		};
	};
	enum wide wide;
	enum mask mask;
	struct mm_struct *mm;
	struct declared_only *declared;
	const void *const nothing;
	__int128 huge;
	atomic_t usage;
	int (*const handler)(int);
	struct twin twin;
	u64 end[];
};
struct task_struct task;
struct hlist_head a;
struct kobject b;
struct cred c;
struct idr d;
struct page e;
struct address_space f;
struct super_block g;
struct dentry h;
struct vfsmount i;
struct file j;
struct fs_struct k;
struct files_struct l;
struct net m;
struct socket n;
struct inet_sock o;
struct unix_sock p;
#endif
