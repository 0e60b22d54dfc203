// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page that the kernel refuses to read, for the test of what capture makes of it: every
 * read of /proc/kcore that has the page in it fails as a whole with EFAULT, as on kernels
 * 6.1.116 to 6.1.119, and with everywhere=1 the copy itself fails, so that bpf has not
 * the page either. Loaded in test guests only.
 *
 * /sys/module/NAME/parameters/phys tells where the page is; it is full of random bytes.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>

static unsigned long phys;
module_param(phys, ulong, 0444);
MODULE_PARM_DESC(phys, "the page's physical address (to be read)");
static bool everywhere;
module_param(everywhere, bool, 0444);
MODULE_PARM_DESC(everywhere, "no reader gets the page, not only kcore");

static unsigned long page;
/* Whose read has met the page. One reader at a time is what the test has. */
static struct task_struct *met;

static int copy_begins(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	unsigned long from = regs_get_kernel_argument(regs, 1);
	unsigned long size = regs_get_kernel_argument(regs, 2);

	if (from >= page + PAGE_SIZE || from + size <= page)
		return 1; /* nobody looks at its return */
	WRITE_ONCE(met, current);
	return !everywhere;
}

static int fail(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	regs_set_return_value(regs, -EFAULT);
	return 0;
}

static int read_begins(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	WRITE_ONCE(met, NULL);
	return 0;
}

static int read_ends(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (READ_ONCE(met) == current)
		regs_set_return_value(regs, -EFAULT);
	return 0;
}

static struct kretprobe on_copy = {
	.kp.symbol_name = "copy_from_kernel_nofault",
	.entry_handler = copy_begins,
	.handler = fail,
	.maxactive = 64,
};

static struct kretprobe on_read = {
	.kp.symbol_name = "read_kcore_iter",
	.entry_handler = read_begins,
	.handler = read_ends,
	.maxactive = 64,
};

static int __init fault_init(void)
{
	int rc;

	page = __get_free_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	get_random_bytes((void *)page, PAGE_SIZE);
	phys = virt_to_phys((void *)page);
	rc = register_kretprobe(&on_copy);
	if (rc)
		goto free;
	rc = register_kretprobe(&on_read);
	if (!rc)
		return 0;
	unregister_kretprobe(&on_copy);
free:
	free_page(page);
	return rc;
}

static void __exit fault_exit(void)
{
	unregister_kretprobe(&on_read);
	unregister_kretprobe(&on_copy);
	free_page(page);
}

module_init(fault_init);
module_exit(fault_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a page that cannot be read, for tests of fvol");
