#include "kmods/rpm.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Of rpm's documentation (format_v3): a lead, then two headers of the same form. */
#define LEAD_BYTES 96
#define INTRO_BYTES 16
#define ENTRY_BYTES 16
#define ENTRIES_MAX 65536u
#define STORE_BYTES_MAX (256u << 20)

enum tag {
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_ARCH = 1022,
	TAG_PROVIDENAME = 1047,
	TAG_PROVIDEVERSION = 1113,
};

enum type { TYPE_INT32 = 4, TYPE_STRING = 6, TYPE_STRING_ARRAY = 8 };

struct header {
	const unsigned char *entries, *store;
	uint32_t entry_count, store_bytes;
	size_t end; /* offset of what stands behind it */
};

struct entry {
	uint32_t type, count;
	const char *data; /* within the store */
	size_t len_bytes; /* to its end */
};

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool rpm_is(const void *data, size_t len)
{
	return len >= LEAD_BYTES && memcmp(data, "\xed\xab\xee\xdb", 4) == 0;
}

static int find_header(const unsigned char *data, size_t len, size_t at, struct header *h,
		       struct err *err)
{
	static const unsigned char magic[4] = { 0x8e, 0xad, 0xe8, 0x01 };
	size_t room;

	if (at > len || len - at < INTRO_BYTES || memcmp(data + at, magic, 4) != 0)
		return err_set(err, ERR_FAILED, "its header is not an rpm's");
	h->entry_count = be32(data + at + 8);
	h->store_bytes = be32(data + at + 12);
	room = len - at - INTRO_BYTES;
	if (h->entry_count > ENTRIES_MAX || h->store_bytes > STORE_BYTES_MAX ||
	    (uint64_t)h->entry_count * ENTRY_BYTES + h->store_bytes > room)
		return err_set(err, ERR_FAILED, "its header is larger than the file");
	h->entries = data + at + INTRO_BYTES;
	h->store = h->entries + (size_t)h->entry_count * ENTRY_BYTES;
	h->end = at + INTRO_BYTES + (size_t)h->entry_count * ENTRY_BYTES + h->store_bytes;
	return 0;
}

/* The main header, behind the lead and the signature header, which is padded to 8. */
static int main_header(const void *data, size_t len, struct header *h, struct err *err)
{
	if (!rpm_is(data, len))
		return err_set(err, ERR_FAILED, "it is not an rpm");
	if (find_header(data, len, LEAD_BYTES, h, err) < 0)
		return -1;
	return find_header(data, len, (h->end + 7) & ~(size_t)7, h, err);
}

static bool find_entry(const struct header *h, enum tag tag, struct entry *e)
{
	for (uint32_t i = 0; i < h->entry_count; i++) {
		const unsigned char *p = h->entries + (size_t)i * ENTRY_BYTES;
		uint32_t off = be32(p + 8);

		if (be32(p) != (uint32_t)tag)
			continue;
		if (off > h->store_bytes)
			return false;
		e->type = be32(p + 4);
		e->count = be32(p + 12);
		e->data = (const char *)h->store + off;
		e->len_bytes = h->store_bytes - off;
		return true;
	}
	return false;
}

/* The string that stands first in *e; moves behind it. NULL at the end. */
static const char *next_string(struct entry *e)
{
	const char *text = e->data, *end = memchr(text, '\0', e->len_bytes);

	if (e->count == 0 || !end)
		return NULL;
	e->count--;
	e->len_bytes -= (size_t)(end - text) + 1;
	e->data = end + 1;
	return text;
}

static int take(const struct header *h, enum tag tag, const char *what, char *to,
		size_t size, struct err *err)
{
	const char *text;
	struct entry e;

	if (!find_entry(h, tag, &e) || e.type != TYPE_STRING || !(text = next_string(&e)))
		return err_set(err, ERR_FAILED, "its header has no %s", what);
	if (strlen(text) >= size)
		return err_set(err, ERR_FAILED, "its %s is too long", what);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static void take_provides(const struct header *h, struct rpm_info *info)
{
	struct entry names, versions;
	const char *name, *version, *dash;
	char number[64];

	if (!find_entry(h, TAG_PROVIDENAME, &names) || names.type != TYPE_STRING_ARRAY ||
	    !find_entry(h, TAG_PROVIDEVERSION, &versions) ||
	    versions.type != TYPE_STRING_ARRAY)
		return;
	while ((name = next_string(&names)) && (version = next_string(&versions))) {
		dash = strchr(version, '-');
		if (!dash || (size_t)(dash - version) >= sizeof(number))
			continue;
		memcpy(number, version, (size_t)(dash - version));
		number[dash - version] = '\0';
		names_rpm_provides(info, name, number, dash + 1);
	}
}

int rpm_read(const void *data, size_t len, struct rpm_info *info, struct err *err)
{
	struct header h;
	struct entry e;

	memset(info, 0, sizeof(*info));
	if (main_header(data, len, &h, err) < 0 ||
	    take(&h, TAG_NAME, "name", info->name, sizeof(info->name), err) < 0 ||
	    take(&h, TAG_VERSION, "version", info->version, sizeof(info->version), err) <
		    0 ||
	    take(&h, TAG_RELEASE, "release", info->release, sizeof(info->release), err) <
		    0 ||
	    take(&h, TAG_ARCH, "architecture", info->arch, sizeof(info->arch), err) < 0)
		return -1;
	if (find_entry(&h, TAG_EPOCH, &e) && e.type == TYPE_INT32 && e.len_bytes >= 4)
		snprintf(info->epoch, sizeof(info->epoch), "%u",
			 be32((const unsigned char *)e.data));
	take_provides(&h, info);
	return 0;
}

int rpm_payload(const void *data, size_t len, size_t *offset, struct err *err)
{
	struct header h;

	if (main_header(data, len, &h, err) < 0)
		return -1;
	if (h.end >= len)
		return err_set(err, ERR_FAILED, "it has no payload");
	*offset = h.end;
	return 0;
}
