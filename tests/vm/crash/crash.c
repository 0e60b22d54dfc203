// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/crash for kernels that have none, with what the driver of RHEL's kernels gives and
 * refuses (drivers/char/crash.c, "crash memory driver", as crash-utility carries it as
 * well): a misc device for CAP_SYS_RAWIO whose file offset is the physical address. A
 * read is whole or fails: EINVAL when it leaves a page (one of no bytes does at a page's
 * beginning), EFAULT where no RAM is, which is logged each time, and where the copy
 * fails. There is no end of the file. What RAM is is asked page by page: no part of one
 * counts.
 *
 * One page of random bytes, at /sys/module/NAME/parameters/phys, fails to be copied while
 * `refuse' is 1, and every page while it is 2. Loaded in test guests only.
 */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/uaccess.h>

static unsigned long phys;
module_param(phys, ulong, 0444);
MODULE_PARM_DESC(phys, "the page's physical address (to be read)");

static int refuse;
module_param(refuse, int, 0644);
MODULE_PARM_DESC(refuse, "1: the page is refused; 2: all are");

static unsigned long page;

static int crash_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	/* The kernel's code may not be copied to user space from where it stands. */
	file->private_data = (void *)__get_free_page(GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int crash_release(struct inode *inode, struct file *file)
{
	free_page((unsigned long)file->private_data);
	return 0;
}

/* Where the page with that number is mapped, or NULL. */
static const char *mapped(unsigned long pfn)
{
	if (!page_is_ram(pfn)) {
		pr_info("crash memory driver: !page_is_ram(pfn: %lx)\n", pfn);
		return NULL;
	}
	if (!pfn_valid(pfn)) {
		pr_info("crash memory driver: invalid pfn: %lx\n", pfn);
		return NULL;
	}
	return page_address(pfn_to_page(pfn));
}

static bool refused(unsigned long pfn)
{
	int how = READ_ONCE(refuse);

	return how == 2 || (how == 1 && pfn == phys >> PAGE_SHIFT);
}

static ssize_t crash_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	u64 at = *pos;
	unsigned long pfn = at >> PAGE_SHIFT;
	const char *from;

	if (pfn != (at + count - 1) >> PAGE_SHIFT)
		return -EINVAL;
	from = mapped(pfn);
	if (!from || refused(pfn) ||
	    copy_from_kernel_nofault(file->private_data, from + offset_in_page(at),
				     count) ||
	    copy_to_user(to, file->private_data, count))
		return -EFAULT;
	*pos += count;
	return count;
}

static loff_t crash_llseek(struct file *file, loff_t offset, int whence)
{
	switch (whence) {
	case SEEK_SET:
		file->f_pos = offset;
		return file->f_pos;
	case SEEK_CUR:
		file->f_pos += offset;
		return file->f_pos;
	default:
		return -EINVAL;
	}
}

static const struct file_operations crash_fops = {
	.owner = THIS_MODULE,
	.llseek = crash_llseek,
	.read = crash_read,
	.open = crash_open,
	.release = crash_release,
};

static struct miscdevice crash_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "crash",
	.fops = &crash_fops,
};

static int __init crash_init(void)
{
	int rc;

	page = __get_free_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	get_random_bytes((void *)page, PAGE_SIZE);
	phys = virt_to_phys((void *)page);
	rc = misc_register(&crash_dev);
	if (rc)
		free_page(page);
	return rc;
}

static void __exit crash_exit(void)
{
	misc_deregister(&crash_dev);
	free_page(page);
}

module_init(crash_init);
module_exit(crash_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("/dev/crash as RHEL has it, for tests");
