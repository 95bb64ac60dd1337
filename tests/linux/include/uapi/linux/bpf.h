/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_BPF_H
#define _UAPI_LINUX_BPF_H

#include <linux/types.h>

enum {
	BPF_REG_0 = 0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_3,
	BPF_REG_4,
	BPF_REG_5,
	MAX_BPF_REG,
};

enum bpf_prog_type {
	BPF_PROG_TYPE_UNSPEC,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_STRUCT_OPS,
};

struct bpf_insn {
	u8 code;
	u8 regs;
	s16 off;
	s32 imm;
};

struct __sk_buff {
	__u32 len;
};

struct xdp_md {
	__u32 data;
};

#endif
