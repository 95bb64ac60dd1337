/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KERNEL_SCHED_EXT_H
#define _KERNEL_SCHED_EXT_H

#include <linux/bpf.h>

struct task_struct {
	s32 cpu;
};

struct cpumask {
	unsigned long bits[1];
};

struct bpf_iter_scx_dsq {
	__u64 opaque[6];
};

/* Parameters that are passed on the stack. */
struct scx_bpf_dsq_insert_vtime_args {
	u64 dsq_id;
	u64 vtime;
};

struct scx_bpf_select_cpu_and_args {
	s32 prev_cpu;
	u64 flags;
};

#endif
