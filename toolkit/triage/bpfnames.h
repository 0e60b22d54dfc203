/* The kernel's numbers of BPF programs and links in words (linux/bpf.h). */
#ifndef FVOL_TRIAGE_BPFNAMES_H
#define FVOL_TRIAGE_BPFNAMES_H

#include <stdbool.h>
#include <stdint.h>

/* NULL for what is newer than the table. */
const char *bpf_program_type_name(uint32_t type);
const char *bpf_link_type_name(uint32_t type);
/* Is such a program called for what the kernel or any process does, rather than for
 * packets of an interface or for a cgroup's sockets? */
bool bpf_program_hooks(uint32_t type);

#endif
