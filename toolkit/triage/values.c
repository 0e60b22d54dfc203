/* Records and the kinds of values in them: see docs/triage-records.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/clock.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/utf8.h"
#include "toolkit/triage/watch.h"

bool triage_may(const struct triage *t, unsigned capability)
{
	return t->capabilities >> capability & 1;
}

struct json *triage_record(const char *type, struct err *err)
{
	return triage_record_in(type, NULL, 0, err);
}

struct json *triage_record_in(const char *type, void *memory, size_t len_bytes,
			      struct err *err)
{
	struct json *doc = json_new_in(memory, memory ? len_bytes : 0);

	if (!doc) {
		err_sys(err, ENOMEM, "making a record");
		return NULL;
	}
	json_add_str(doc, json_root(doc), "type", type);
	return doc;
}

int triage_emit(struct triage *t, struct json *doc, struct err *err)
{
	int rc;

	if (!doc)
		return -1;
	watch_out_begin(t);
	rc = out_record(t->out, doc, err);
	watch_out_end(t);
	json_free(doc);
	return rc;
}

void triage_add_text(struct json *doc, struct json_node *in, const char *key,
		     const void *bytes, size_t len_bytes)
{
	struct json_node *object;
	char *text;

	if (!memchr(bytes, '\0', len_bytes) && utf8_valid(bytes, len_bytes)) {
		json_add_strn(doc, in, key, bytes, len_bytes);
		return;
	}
	object = json_add_object(doc, in, key);
	text = malloc(BASE64_SIZE(len_bytes));
	if (!text) {
		json_fail(doc);
		return;
	}
	base64_encode(bytes, len_bytes, text);
	json_add_str(doc, object, "base64", text);
	free(text);
}

void triage_add_time(struct json *doc, struct json_node *in, const char *key, int64_t ns)
{
	record_time(doc, in, key, ns);
}

void triage_add_hex(struct json *doc, struct json_node *in, const char *key,
		    uint64_t value)
{
	char text[17];

	snprintf(text, sizeof(text), "%" PRIx64, value);
	json_add_str(doc, in, key, text);
}

void triage_add_dev(struct json *doc, struct json_node *in, const char *key,
		    unsigned major, unsigned minor)
{
	char text[24];

	snprintf(text, sizeof(text), "%u:%u", major, minor);
	json_add_str(doc, in, key, text);
}

const char *triage_reason_name(enum triage_reason reason)
{
	static const char *const names[REASON_COUNT] = {
		[REASON_CAPABILITY] = "capability",
		[REASON_YAMA] = "yama",
		[REASON_HIDEPID] = "hidepid",
		[REASON_SECCOMP] = "seccomp",
		[REASON_LSM] = "lsm",
		[REASON_USER_NAMESPACE] = "user_namespace",
		[REASON_GONE] = "gone",
		[REASON_BLOCKED] = "blocked",
		[REASON_TOO_LARGE] = "too_large",
		[REASON_NOT_SUPPORTED] = "not_supported",
		[REASON_WOULD_CHANGE_HOST] = "would_change_host",
		[REASON_ERROR] = "error",
	};

	return names[reason];
}

enum triage_reason triage_reason_of(const struct triage *t, int errnum)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
		return triage_may(t, HOST_CAP_SYS_ADMIN) ? REASON_LSM : REASON_CAPABILITY;
	case ENOENT:
	case ENOSYS:
	case EOPNOTSUPP:
	case ENODEV:
	case EPROTONOSUPPORT:
		return REASON_NOT_SUPPORTED;
	case ESRCH:
		return REASON_GONE;
	case EFBIG:
		return REASON_TOO_LARGE;
	case ETIMEDOUT:
		return REASON_BLOCKED;
	default:
		return REASON_ERROR;
	}
}

const char *triage_errno_name(int errnum, char other[24])
{
	static const struct {
		int errnum;
		const char *name;
	} known[] = {
#define NAMED(name) { name, #name }
		NAMED(EPERM),		NAMED(ENOENT),	     NAMED(ESRCH),
		NAMED(EINTR),		NAMED(EIO),	     NAMED(ENXIO),
		NAMED(EBADF),		NAMED(EAGAIN),	     NAMED(ENOMEM),
		NAMED(EACCES),		NAMED(EFAULT),	     NAMED(EBUSY),
		NAMED(EEXIST),		NAMED(ENODEV),	     NAMED(ENOTDIR),
		NAMED(EISDIR),		NAMED(EINVAL),	     NAMED(ENFILE),
		NAMED(EMFILE),		NAMED(EFBIG),	     NAMED(ENOSPC),
		NAMED(EROFS),		NAMED(ELOOP),	     NAMED(ENAMETOOLONG),
		NAMED(ENOSYS),		NAMED(ENODATA),	     NAMED(EOPNOTSUPP),
		NAMED(EPROTONOSUPPORT), NAMED(EOVERFLOW),    NAMED(ESTALE),
		NAMED(ETIMEDOUT),	NAMED(ECONNREFUSED), NAMED(EAFNOSUPPORT),
#undef NAMED
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].errnum == errnum)
			return known[i].name;
	snprintf(other, 24, "errno %d", errnum);
	return other;
}

struct json *triage_unread_begin(struct triage *t, const char *what,
				 enum triage_reason reason, int errnum, struct err *err)
{
	struct json *doc = triage_record("unread", err);
	char other[24];

	__atomic_fetch_add(&t->unread[reason], 1, __ATOMIC_RELAXED);
	if (doc) {
		struct json_node *root = json_root(doc);

		triage_add_text(doc, root, "what", what, strlen(what));
		json_add_str(doc, root, "reason", triage_reason_name(reason));
		if (errnum)
			json_add_str(doc, root, "errno",
				     triage_errno_name(errnum, other));
	}
	return doc;
}

int triage_unread(struct triage *t, const char *what, enum triage_reason reason,
		  int errnum, struct err *err)
{
	return triage_emit(t, triage_unread_begin(t, what, reason, errnum, err), err);
}

/* What a finding and a lead have in common. severity: NULL for none. */
static struct json *begin_saying(const char *type, const char *kind, const char *severity,
				 const char *text, struct json_node **subject,
				 struct json_node **evidence, struct err *err)
{
	struct json *doc = triage_record(type, err);
	struct json_node *root, *node;

	if (!doc)
		return NULL;
	root = json_root(doc);
	json_add_str(doc, root, "kind", kind);
	if (severity)
		json_add_str(doc, root, "severity", severity);
	json_add_str(doc, root, "text", text);
	node = json_add_object(doc, root, "subject");
	if (subject)
		*subject = node;
	node = json_add_object(doc, root, "evidence");
	if (evidence)
		*evidence = node;
	return doc;
}

struct json *triage_finding(struct triage *t, const char *kind,
			    enum triage_severity severity, const char *text,
			    struct json_node **subject, struct json_node **evidence,
			    struct err *err)
{
	static const char *const names[] = { "high", "medium", "low" };

	__atomic_fetch_add(&t->findings[severity], 1, __ATOMIC_RELAXED);
	return begin_saying("finding", kind, names[severity], text, subject, evidence,
			    err);
}

struct json *triage_lead(struct triage *t, const char *kind, const char *text,
			 struct json_node **subject, struct json_node **evidence,
			 struct err *err)
{
	__atomic_fetch_add(&t->leads, 1, __ATOMIC_RELAXED);
	return begin_saying("lead", kind, NULL, text, subject, evidence, err);
}

const char *triage_shown(const void *bytes, size_t len_bytes, char *buf, size_t size)
{
	const unsigned char *from = bytes;
	size_t at = 0;

	for (size_t i = 0; i < len_bytes; i++) {
		bool plain = from[i] >= 0x20 && from[i] < 0x7f && from[i] != '\\';
		size_t need = plain ? 1 : 4;

		if (at + need >= size)
			break;
		if (plain)
			buf[at] = (char)from[i];
		else
			snprintf(buf + at, size - at, "\\x%02x", from[i]);
		at += need;
	}
	buf[at] = '\0';
	return buf;
}
