#include "toolkit/lib/nvmeid.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/le.h"

#define OPCODE_IDENTIFY 0x06
#define CNS_CONTROLLER 1
#define TIMEOUT_MS 5000

#define VENDOR_OFF 0
#define SERIAL_OFF 4
#define MODEL_OFF 24
#define MODEL_BYTES 40
/* The vendor's area; AWS's own tool reads the name there. */
#define NAME_OFF 3072
#define NAME_BYTES 32

#define VENDOR_AMAZON 0x1d0f
#define MODEL_EBS "Amazon Elastic Block Store"

int nvmeid_ask(int fd, unsigned char page[NVMEID_BYTES], struct err *err)
{
	struct nvme_admin_cmd command = {
		.opcode = OPCODE_IDENTIFY,
		.addr = (uint64_t)(uintptr_t)page,
		.data_len = NVMEID_BYTES,
		.cdw10 = CNS_CONTROLLER,
		.timeout_ms = TIMEOUT_MS,
	};
	int status, errnum;

	memset(page, 0, NVMEID_BYTES);
	/* The libraries differ in the type of ioctl()'s request, so without them. */
	status = (int)syscall(SYS_ioctl, fd, NVME_IOCTL_ADMIN_CMD, &command);
	if (status == 0)
		return 0;
	errnum = status < 0 ? errno : EIO;
	if (status > 0)
		err_set(err, ERR_FAILED, "the disk refuses Identify (status 0x%x)",
			(unsigned)status);
	else
		err_sys(err, errnum, "asking the disk to identify itself");
	errno = errnum;
	return -1;
}

/* Fields are padded with blanks, some with NULs. */
static size_t field_len(const unsigned char *field, size_t len)
{
	while (len && (field[len - 1] == ' ' || field[len - 1] == '\0'))
		len--;
	return len;
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool nvmeid_normal_name(const char *text, size_t len, char out[NVMEID_NAME_MAX + 1])
{
	static const char dev[] = "/dev/";
	size_t letters = 0, digits = 0;

	out[0] = '\0';
	len = strnlen(text, len);
	if (len >= sizeof(dev) - 1 && memcmp(text, dev, sizeof(dev) - 1) == 0) {
		text += sizeof(dev) - 1;
		len -= sizeof(dev) - 1;
	}
	if (len > 3 && memcmp(text, "xvd", 3) == 0) {
		text += 3;
		len -= 3;
	} else if (len > 2 && memcmp(text, "sd", 2) == 0) {
		text += 2;
		len -= 2;
	} else {
		return false;
	}
	while (letters < len && is_letter(text[letters]))
		letters++;
	while (letters + digits < len && is_digit(text[letters + digits]))
		digits++;
	if (letters < 1 || letters > 2 || digits > 2 || letters + digits != len)
		return false;
	memcpy(out, "sd", 2);
	memcpy(out + 2, text, letters);
	out[2 + letters] = '\0';
	return true;
}

int nvmeid_read(const unsigned char page[NVMEID_BYTES], struct nvmeid *id,
		struct err *err)
{
	size_t len = field_len(page + SERIAL_OFF, NVMEID_SERIAL_MAX);
	size_t name_len = field_len(page + NAME_OFF, NAME_BYTES);

	*id = (struct nvmeid){ .ebs = false };
	for (size_t i = 0; i < len; i++)
		if (page[SERIAL_OFF + i] <= ' ' || page[SERIAL_OFF + i] > '~')
			return err_set(err, ERR_FAILED,
				       "the disk's serial is not printable");
	memcpy(id->serial, page + SERIAL_OFF, len);
	id->ebs = get_le(page + VENDOR_OFF, 2) == VENDOR_AMAZON &&
		  field_len(page + MODEL_OFF, MODEL_BYTES) == strlen(MODEL_EBS) &&
		  memcmp(page + MODEL_OFF, MODEL_EBS, strlen(MODEL_EBS)) == 0;
	if (id->ebs)
		(void)nvmeid_normal_name((const char *)page + NAME_OFF, name_len,
					 id->device_name);
	return 0;
}
