#include "toolkit/lib/procstat.h"

#include <string.h>

/* Takes the next number, with its sign, behind blanks. Returns false when there is none.
 */
static bool next_number(const char **at, const char *end, int64_t *value)
{
	const char *p = *at;
	bool minus;
	uint64_t n = 0;
	int digits = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	minus = p < end && *p == '-';
	p += minus;
	for (; p < end && *p >= '0' && *p <= '9' && digits < 20; p++, digits++)
		n = n * 10 + (uint64_t)(*p - '0');
	if (!digits || (p < end && *p != ' ' && *p != '\t' && *p != '\n'))
		return false;
	*at = p;
	/* Twenty digits: only addresses are as long, and nobody asks for those. */
	*value = minus ? -(int64_t)(n & INT64_MAX) : (int64_t)n;
	return true;
}

bool procstat_parse(const char *text, size_t len_bytes, struct procstat *stat)
{
	const char *end = text + len_bytes, *at = text;
	const char *open = memchr(text, '(', len_bytes);
	const char *close = memrchr(text, ')', len_bytes);
	int64_t field[23] = { 0 }; /* by the numbers of proc(5) */

	if (!open || !close || close < open || end - close < 4 || close[1] != ' ')
		return false;
	if (!next_number(&at, open, &field[1]) || at + 1 != open || field[1] <= 0)
		return false;
	stat->comm_len = (size_t)(close - open - 1);
	if (stat->comm_len > PROCSTAT_COMM_MAX)
		return false;
	memcpy(stat->comm, open + 1, stat->comm_len);
	stat->state = close[2];
	at = close + 3;
	for (int i = 4; i <= 22; i++)
		if (!next_number(&at, end, &field[i]))
			return false;
	stat->pid = (int32_t)field[1];
	stat->ppid = (int32_t)field[4];
	stat->pgrp = (int32_t)field[5];
	stat->session = (int32_t)field[6];
	stat->tty = (int32_t)field[7];
	stat->flags = (uint32_t)field[9];
	stat->user_ticks = (uint64_t)field[14];
	stat->system_ticks = (uint64_t)field[15];
	stat->threads = (uint64_t)field[20];
	stat->start_ticks = (uint64_t)field[22];
	return true;
}

static bool four(const char *at, const char *end, uint32_t ids[4])
{
	for (int i = 0; i < 4; i++) {
		int64_t value;

		if (!next_number(&at, end, &value))
			return false;
		ids[i] = (uint32_t)value;
	}
	return true;
}

static bool hex(const char *at, const char *end, uint64_t *value)
{
	*value = 0;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (at == end)
		return false;
	for (; at < end; at++) {
		int digit = *at >= '0' && *at <= '9'   ? *at - '0'
			    : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
						       : -1;

		if (digit < 0 || *value >> 60)
			return false;
		*value = *value << 4 | (uint64_t)digit;
	}
	return true;
}

static bool small(const char *at, const char *end, uint32_t *value)
{
	int64_t n;

	if (!next_number(&at, end, &n))
		return false;
	*value = (uint32_t)n;
	return true;
}

static void lists(struct procstatus *status, const char *key, const char *at,
		  const char *end)
{
	int64_t value;

	if (strcmp(key, "Groups") == 0) {
		while (next_number(&at, end, &value)) {
			if (status->group_count == PROCSTATUS_GROUPS_MAX) {
				status->groups_truncated = true;
				return;
			}
			status->groups[status->group_count++] = (uint32_t)value;
		}
	} else if (strcmp(key, "NSpid") == 0) {
		while (status->ns_pid_count < PROCSTATUS_NS_MAX &&
		       next_number(&at, end, &value))
			status->ns_pid[status->ns_pid_count++] = (int32_t)value;
	}
}

/* One line "KEY:\tVALUE"; seen counts those that must be there. */
static void take_line(struct procstatus *status, const char *key, const char *at,
		      const char *end, unsigned *seen)
{
	uint32_t value;

	if (strcmp(key, "Tgid") == 0 && small(at, end, &value)) {
		status->tgid = (int32_t)value;
		*seen |= 1;
	} else if (strcmp(key, "TracerPid") == 0 && small(at, end, &value)) {
		status->tracer_pid = (int32_t)value;
	} else if (strcmp(key, "Uid") == 0 && four(at, end, status->uid)) {
		*seen |= 2;
	} else if (strcmp(key, "Gid") == 0 && four(at, end, status->gid)) {
		*seen |= 4;
	} else if (strcmp(key, "CapInh") == 0) {
		hex(at, end, &status->cap_inheritable);
	} else if (strcmp(key, "CapPrm") == 0) {
		hex(at, end, &status->cap_permitted);
	} else if (strcmp(key, "CapEff") == 0) {
		status->has_caps = hex(at, end, &status->cap_effective);
	} else if (strcmp(key, "CapBnd") == 0) {
		hex(at, end, &status->cap_bounding);
	} else if (strcmp(key, "CapAmb") == 0) {
		hex(at, end, &status->cap_ambient);
	} else if (strcmp(key, "NoNewPrivs") == 0) {
		status->has_no_new_privs = small(at, end, &status->no_new_privs);
	} else if (strcmp(key, "Seccomp") == 0) {
		status->has_seccomp = small(at, end, &status->seccomp);
	} else if (strcmp(key, "Seccomp_filters") == 0) {
		status->has_filters = small(at, end, &status->seccomp_filters);
	} else {
		lists(status, key, at, end);
	}
}

bool procstatus_parse(const char *text, size_t len_bytes, struct procstatus *status)
{
	const char *end = text + len_bytes;
	unsigned seen = 0;

	memset(status, 0, sizeof(*status));
	for (const char *line = text, *next; line < end; line = next) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *colon;
		char key[24];

		stop = stop ? stop : end;
		next = stop + 1;
		colon = memchr(line, ':', (size_t)(stop - line));
		if (!colon || (size_t)(colon - line) >= sizeof(key))
			continue;
		memcpy(key, line, (size_t)(colon - line));
		key[colon - line] = '\0';
		take_line(status, key, colon + 1, stop, &seen);
	}
	return seen == 7;
}
