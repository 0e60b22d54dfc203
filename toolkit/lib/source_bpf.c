/*
 * Physical memory through bpf(2): a program of nine instructions that is run by
 * BPF_PROG_TEST_RUN and never attached copies kernel memory into an array map that this
 * process has mapped. For kernels without kcore or loadable modules; 5.10 is the first
 * that runs raw tracepoint programs so. No library, no BTF, no kprobe.
 *
 * The kernel is told virtual addresses, so the base of its direct map has to be found:
 * a page of ours whose physical address pagemap tells holds random bytes, and the
 * candidate below the current task at which they appear is the base. The comparison runs
 * in the kernel, so that wrong candidates export nothing. Where kcore is open already,
 * its headers have told the base, and the search's two programs are saved, with their
 * pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/source.h"
#include "toolkit/lib/sourceutil.h"

/* Not above what 5.10 takes for one map value. */
#define CHUNK_MAX (4u << 20)
#define CHUNK_DEFAULT (256u << 10)
/* Direct map bases are multiples of it: PUD size on x86_64, on arm64 with 4 KiB pages,
 * where the map begins at a multiple of ARM64_MEMSTART_ALIGN; larger with larger pages.
 */
#define BASE_STEP (1ull << 30)
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_PFN ((1ull << 55) - 1)

struct bpf {
	int map_fd, read_fd;
	unsigned char *window; /* the map's value, as this process sees it */
	size_t window_bytes;
	uint64_t base; /* virtual minus physical address in the direct map */
	const struct ranges *ranges;
};

#define INSN(c, d, s, o, i)                                                              \
	{                                                                                \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)      \
	}
#define LOAD64(dst, src, off) INSN(BPF_LDX | BPF_MEM | BPF_DW, dst, src, off, 0)
#define STORE64(dst, src, off) INSN(BPF_STX | BPF_MEM | BPF_DW, dst, src, off, 0)
#define MOVE(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, imm) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define ADD(dst, imm) INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define SKIP_IF_LE(reg, imm, n) INSN(BPF_JMP | BPF_JLE | BPF_K, reg, 0, n, imm)
#define SKIP_IF_EQ(reg, other, n) INSN(BPF_JMP | BPF_JEQ | BPF_X, reg, other, n, 0)
#define SKIP_IF_NOT(reg, imm, n) INSN(BPF_JMP | BPF_JNE | BPF_K, reg, 0, n, imm)
/* Two slots: the address of the map's first value. */
#define VALUE_OF(dst, fd)                                                                \
	INSN(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_VALUE, 0, fd),               \
		INSN(0, 0, 0, 0, 0)

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load(const struct bpf_insn *insns, size_t count)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)count;
	/* The helpers that read kernel memory are for GPL programs only. */
	attr.license = (uint64_t)(uintptr_t) "GPL";
	return (int)sys_bpf(BPF_PROG_LOAD, &attr);
}

/* Runs a program with two arguments. Returns 0 and *result, or -1 with errno set. */
static int run(int fd, uint64_t first, uint64_t second, int32_t *result)
{
	uint64_t args[2] = { first, second };
	union bpf_attr attr;
	long rc;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)fd;
	attr.test.ctx_in = (uint64_t)(uintptr_t)args;
	attr.test.ctx_size_in = sizeof(args);
	do
		rc = sys_bpf(BPF_PROG_TEST_RUN, &attr);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -1;
	*result = (int32_t)attr.test.retval;
	return 0;
}

static int load_reader(const struct bpf *bpf)
{
	const struct bpf_insn insns[] = {
		LOAD64(BPF_REG_3, BPF_REG_1, 0),
		LOAD64(BPF_REG_2, BPF_REG_1, 8),
		SKIP_IF_LE(BPF_REG_2, (int32_t)bpf->window_bytes, 2),
		SET(BPF_REG_0, -E2BIG),
		EXIT(),
		VALUE_OF(BPF_REG_1, bpf->map_fd),
		CALL(BPF_FUNC_probe_read_kernel),
		EXIT(),
	};

	return load(insns, sizeof(insns) / sizeof(insns[0]));
}

/* Result: 0 the 8 bytes at the first argument are the second; 1 unreadable; 2 others. */
static int load_comparer(void)
{
	static const struct bpf_insn insns[] = {
		LOAD64(BPF_REG_3, BPF_REG_1, 0),
		LOAD64(BPF_REG_6, BPF_REG_1, 8),
		SET(BPF_REG_0, 0),
		STORE64(BPF_REG_10, BPF_REG_0, -8),
		MOVE(BPF_REG_1, BPF_REG_10),
		ADD(BPF_REG_1, -8),
		SET(BPF_REG_2, 8),
		CALL(BPF_FUNC_probe_read_kernel),
		SKIP_IF_NOT(BPF_REG_0, 0, 4),
		LOAD64(BPF_REG_1, BPF_REG_10, -8),
		SKIP_IF_EQ(BPF_REG_1, BPF_REG_6, 4),
		SET(BPF_REG_0, 2),
		EXIT(),
		SET(BPF_REG_0, 1),
		EXIT(),
		SET(BPF_REG_0, 0),
		EXIT(),
	};

	return load(insns, sizeof(insns) / sizeof(insns[0]));
}

/* The current task's address; a run's own result has only 32 bits, so through the map. */
static int current_task(const struct bpf *bpf, uint64_t *task)
{
	const struct bpf_insn insns[] = {
		CALL(BPF_FUNC_get_current_task),
		VALUE_OF(BPF_REG_1, bpf->map_fd),
		STORE64(BPF_REG_1, BPF_REG_0, 0),
		SET(BPF_REG_0, 0),
		EXIT(),
	};
	int fd = load(insns, sizeof(insns) / sizeof(insns[0]));
	int32_t result;
	int rc;

	if (fd < 0)
		return -1;
	rc = run(fd, 0, 0, &result);
	io_close(&fd);
	if (rc < 0)
		return -1;
	memcpy(task, bpf->window, sizeof(*task));
#ifdef __aarch64__
	/* Kernels with memory tagging keep a tag where the direct map has ones. */
	*task |= 0xffull << 56;
#endif
	return 0;
}

/* Fills a page of ours with random bytes and tells where it physically is. */
static int plant(unsigned char *page, size_t page_bytes, uint64_t *phys, struct err *err)
{
	uint64_t entry;
	ssize_t n;
	int fd;

	/* At most 256 bytes come in one piece whatever signals arrive. */
	for (size_t at = 0; at < page_bytes; at += 256)
		if (getrandom(page + at, 256, 0) != 256)
			return err_sys(err, errno, "asking for random bytes");
	/* Our own page map, whatever /proc the caller gave. */
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening /proc/self/pagemap");
	n = pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / page_bytes * sizeof(entry)));
	io_close(&fd);
	if (n != sizeof(entry))
		return err_set(err, ERR_FAILED, "reading /proc/self/pagemap");
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_PFN))
		return err_set(err, ERR_REFUSED,
			       "/proc/self/pagemap hides physical addresses: "
			       "CAP_SYS_ADMIN is needed");
	*phys = (entry & PAGEMAP_PFN) * page_bytes;
	return 0;
}

/* Is the page at this virtual address? 1 yes, 0 no, -1 with errno set. */
static int is_page(int comparer, uint64_t address, const unsigned char *page,
		   size_t page_bytes)
{
	/* Two words far apart: one might stand elsewhere, on a stack for instance. */
	const size_t at[] = { 0, page_bytes - 8 };

	for (size_t i = 0; i < 2; i++) {
		uint64_t word;
		int32_t result;

		memcpy(&word, page + at[i], sizeof(word));
		if (run(comparer, address + at[i], word, &result) < 0)
			return -1;
		if (result != 0)
			return 0;
	}
	return 1;
}

static int search_base(struct bpf *bpf, int comparer, uint64_t task,
		       const unsigned char *page, size_t page_bytes, uint64_t phys,
		       struct err *err)
{
	uint64_t ram_end = bpf->ranges->at[bpf->ranges->count - 1].end;
	uint64_t base = task & ~(BASE_STEP - 1);

	/* The task is in RAM: its distance from the base is its physical address. */
	for (uint64_t tries = ram_end / BASE_STEP + 2; tries; tries--) {
		int is = is_page(comparer, base + phys, page, page_bytes);

		if (is < 0)
			return err_sys(err, errno, "comparing memory with bpf");
		if (is) {
			bpf->base = base;
			return 0;
		}
		base -= BASE_STEP;
	}
	return err_set(err, ERR_REFUSED,
		       "bpf: the direct map of physical memory was not found below the "
		       "current task");
}

static int find_base(struct bpf *bpf, struct err *err)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t phys = 0, task = 0;
	int comparer = -1;
	int rc = -1;

	if (page == MAP_FAILED)
		return err_sys(err, errno, "mapping a page");
	comparer = load_comparer();
	if (comparer < 0 || current_task(bpf, &task) < 0)
		err_sys(err, errno, "loading a bpf program");
	else if (mlock(page, page_bytes) < 0)
		err_sys(err, errno, "locking a page");
	else if (plant(page, page_bytes, &phys, err) == 0)
		rc = search_base(bpf, comparer, task, page, page_bytes, phys, err);
	io_close(&comparer);
	munmap(page, page_bytes);
	return rc;
}

static int make_map(struct bpf *bpf)
{
	union bpf_attr attr;
	void *window;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = (uint32_t)bpf->window_bytes;
	attr.max_entries = 1;
	attr.map_flags = BPF_F_MMAPABLE;
	bpf->map_fd = (int)sys_bpf(BPF_MAP_CREATE, &attr);
	if (bpf->map_fd < 0)
		return -1;
	window = mmap(NULL, bpf->window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf->map_fd, 0);
	if (window == MAP_FAILED)
		return -1;
	bpf->window = window;
	return 0;
}

/* Before 5.11 maps and programs count against it, and 64 KiB is the usual limit. */
static void raise_memlock(uint32_t version)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	if (version < HOST_VERSION(5, 11, 0))
		/* Refused, the map's creation says so. */
		(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

/* One sentence for a refused program: the kernel's own is EINVAL. */
static int explain(const struct source_env *env, int errnum, struct err *err)
{
	struct host host;

	host_read(env->proc_dirfd, env->sys_dirfd, &host);
	if (errnum == EINVAL && host.lockdown == LOCKDOWN_CONFIDENTIALITY)
		return err_set(err, ERR_REFUSED,
			       "lockdown=confidentiality refuses bpf programs that read "
			       "kernel memory");
	if (errnum == EINVAL)
		return err_set(err, ERR_REFUSED,
			       "the kernel refuses bpf programs that read kernel memory "
			       "(lockdown: %s; CONFIG_BPF_EVENTS is needed)",
			       host_lockdown_name(host.lockdown));
	return err_sys(err, errnum, "loading a bpf program");
}

static int open_bpf(struct source *source, const struct source_env *env,
		    const struct ranges *ranges, struct err *err)
{
	static struct bpf bpf;
	size_t chunk = env->max_read_bytes ? env->max_read_bytes : CHUNK_DEFAULT;
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct host host;

	bpf = (struct bpf){ .map_fd = -1, .read_fd = -1, .ranges = ranges };
	source->state = &bpf;
	if (source_need_real_proc(env, err) < 0)
		return -1;
	if (chunk > CHUNK_MAX)
		chunk = CHUNK_MAX;
	bpf.window_bytes = (chunk + page_bytes - 1) / page_bytes * page_bytes;
	host_identify(env->proc_dirfd, &host);
	raise_memlock(host.version);
	if (make_map(&bpf) < 0)
		return errno == ENOSYS
			       ? err_set(err, ERR_REFUSED, "this kernel has no bpf(2)")
			       : err_sys(err, errno, "making a bpf map");
	bpf.read_fd = load_reader(&bpf);
	if (bpf.read_fd < 0)
		return explain(env, errno, err);
	bpf.base = env->direct_map;
	return bpf.base ? 0 : find_base(&bpf, err);
}

static ssize_t read_bpf(struct source *source, uint64_t phys, void *buf, size_t len)
{
	const struct bpf *bpf = source->state;
	int32_t result;

	if (len > bpf->window_bytes)
		len = bpf->window_bytes;
	len = (size_t)source_room(bpf->ranges, phys, len);
	if (!len)
		return 0;
	if (run(bpf->read_fd, bpf->base + phys, len, &result) < 0)
		return -1;
	if (result < 0) {
		errno = -result;
		return -1;
	}
	memcpy(buf, bpf->window, len);
	return (ssize_t)len;
}

static uint64_t hole_bpf(struct source *source, uint64_t phys, uint64_t len)
{
	const struct bpf *bpf = source->state;

	return source_hole(bpf->ranges, phys, len);
}

static int close_bpf(struct source *source, struct err *err)
{
	struct bpf *bpf = source->state;

	(void)err;
	if (!bpf)
		return 0;
	if (bpf->window)
		munmap(bpf->window, bpf->window_bytes);
	bpf->window = NULL;
	io_close(&bpf->read_fd);
	io_close(&bpf->map_fd);
	source->state = NULL;
	return 0;
}

/* Loads nothing: a program is refused or taken only when it is opened. */
static void probe(const struct source_env *env, const struct ranges *ranges,
		  struct source_verdict *verdict)
{
	struct host host;

	(void)ranges;
	host_read(env->proc_dirfd, env->sys_dirfd, &host);
	if (host.version && host.version < HOST_VERSION(5, 10, 0))
		verdict_set(verdict, false,
			    "bpf needs Linux 5.10 to run a program that is not attached");
	else if (!host_may(&host, HOST_CAP_SYS_ADMIN))
		verdict_set(verdict, false,
			    "bpf needs CAP_SYS_ADMIN (programs, and physical addresses "
			    "of pagemap), which this process lacks");
	else if (host.lockdown == LOCKDOWN_CONFIDENTIALITY)
		verdict_set(verdict, false,
			    "lockdown=confidentiality refuses bpf programs that read "
			    "kernel memory");
	else
		verdict_set(verdict, true, "Linux %u.%u runs bpf programs (lockdown: %s)",
			    host.version >> 24, host.version >> 16 & 255,
			    host_lockdown_name(host.lockdown));
}

const struct source_ops source_bpf = {
	.name = "bpf",
	.probe = probe,
	.open = open_bpf,
	.read = read_bpf,
	.hole = hole_bpf,
	.close = close_bpf,
};
