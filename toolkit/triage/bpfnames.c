#include "toolkit/triage/bpfnames.h"

#include <stddef.h>

static const char *const program_types[] = {
	"unspec",
	"socket_filter",
	"kprobe",
	"sched_cls",
	"sched_act",
	"tracepoint",
	"xdp",
	"perf_event",
	"cgroup_skb",
	"cgroup_sock",
	"lwt_in",
	"lwt_out",
	"lwt_xmit",
	"sock_ops",
	"sk_skb",
	"cgroup_device",
	"sk_msg",
	"raw_tracepoint",
	"cgroup_sock_addr",
	"lwt_seg6local",
	"lirc_mode2",
	"sk_reuseport",
	"flow_dissector",
	"cgroup_sysctl",
	"raw_tracepoint_writable",
	"cgroup_sockopt",
	"tracing",
	"struct_ops",
	"ext",
	"lsm",
	"sk_lookup",
	"syscall",
	"netfilter",
};

static const char *const link_types[] = {
	"unspec",	"raw_tracepoint", "tracing",   "cgroup",
	"iter",		"netns",	  "xdp",       "perf_event",
	"kprobe_multi", "struct_ops",	  "netfilter", "tcx",
	"uprobe_multi", "netkit",	  "sockmap",
};

const char *bpf_program_type_name(uint32_t type)
{
	return type < sizeof(program_types) / sizeof(program_types[0])
		       ? program_types[type]
		       : NULL;
}

const char *bpf_link_type_name(uint32_t type)
{
	return type < sizeof(link_types) / sizeof(link_types[0]) ? link_types[type]
								 : NULL;
}

bool bpf_program_hooks(uint32_t type)
{
	/* kprobe (and uprobe), tracepoint, perf_event, raw_tracepoint (writable),
	 * tracing, ext, lsm */
	return type == 2 || type == 5 || type == 7 || type == 17 || type == 24 ||
	       type == 26 || type == 28 || type == 29;
}
