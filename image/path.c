#include "image/path.h"

#include <string.h>

const char *path_name_fault(const char *name, size_t len)
{
	if (len == 0)
		return "has an empty name";
	if (len > PATH_NAME_MAX)
		return "has a name longer than 255 bytes";
	if ((len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return "has the name . or ..";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '/')
			return "has a name with a slash";
		/* sha256sum escapes backslash and newline: such a line would not agree.
		 */
		if (c < 0x20 || c == 0x7f || c == '\\')
			return "has a name with a control byte or a backslash";
	}
	return NULL;
}

const char *path_fault(const char *path)
{
	size_t depth = 0;

	if (strlen(path) > PATH_LEN_MAX)
		return "is longer than 1024 bytes";
	for (const char *name = path;; name++) {
		size_t len = strcspn(name, "/");
		const char *fault = path_name_fault(name, len);

		if (fault)
			return fault;
		if (++depth > PATH_DEPTH_MAX)
			return "is deeper than 32 names";
		name += len;
		if (!*name)
			return NULL;
	}
}
