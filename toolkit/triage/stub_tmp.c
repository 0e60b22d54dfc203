#include "toolkit/triage/triage.h"
int collect_bpf(struct triage *t, struct err *err)
{
	(void)t;
	(void)err;
	return 0;
}
int collect_mounts(struct triage *t, struct err *err)
{
	return collect_bpf(t, err);
}
int collect_sessions(struct triage *t, struct err *err)
{
	return collect_bpf(t, err);
}
int collect_units(struct triage *t, struct err *err)
{
	return collect_bpf(t, err);
}
int collect_files(struct triage *t, struct err *err)
{
	return collect_bpf(t, err);
}
