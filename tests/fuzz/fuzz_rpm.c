#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/names.h"
#include "kmods/rpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct repo_package package;
	struct rpm_info info;
	struct err err = { 0 };
	size_t payload;

	if (rpm_payload(data, len, &payload, &err) == 0) {
		if (payload >= len || !rpm_is(data, len))
			abort();
	} else if (err.kind == ERR_NONE) {
		abort();
	}
	if (rpm_read(data, len, &info, &err) < 0)
		return 0;
	if (memchr(info.name, '\0', sizeof(info.name)) == NULL)
		abort();
	/* What is taken may stand in a lock file. */
	if (names_rpm(&info, NULL, &package, &err) > 0 &&
	    (!lock_plain(package.name) || !lock_plain(package.version) ||
	     (package.release[0] && !lock_plain(package.release))))
		abort();
	return 0;
}
