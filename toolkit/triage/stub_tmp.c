#include "toolkit/triage/triage.h"
#define S(n)                                                                             \
	int n(struct triage *t, struct err *err)                                         \
	{                                                                                \
		(void)t;                                                                 \
		(void)err;                                                               \
		return 0;                                                                \
	}
S(collect_network)
S(collect_modules) S(collect_bpf) S(collect_mounts) S(collect_sessions) S(collect_units)
	S(collect_files) static int b(void **s, struct out_file *f,
				      const struct place_ops *o, struct err *e)
{
	(void)s;
	(void)f;
	(void)o;
	(void)e;
	return 0;
}
static int r(void *s, const char *t, const struct json_value *v, const char *l, size_t n,
	     struct err *e)
{
	(void)s;
	(void)t;
	(void)v;
	(void)l;
	(void)n;
	(void)e;
	return 0;
}
static int en(void *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}
static void fr(void *s)
{
	(void)s;
}
const struct derived derived_report = { "report.html", b, r, en, fr };
