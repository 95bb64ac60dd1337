/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_BPF_H
#define _LINUX_BPF_H

#include <linux/kernel.h>
#include <uapi/linux/bpf.h>
#include <uapi/linux/btf.h>

/* The arguments in registers, and with those on the stack. */
#define MAX_BPF_FUNC_REG_ARGS 5
#define MAX_BPF_FUNC_ARGS 12

#define BTF_FMODEL_SIGNED_ARG		BIT(0)
#define BTF_FMODEL_NULLABLE_ARG		BIT(3)

struct btf;
struct btf_member;
struct bpf_prog;
struct cpumask;
struct task_struct;

extern struct btf *btf_vmlinux;

struct btf_func_model {
	u8 ret_size;
	u8 nr_args;
	u8 arg_flags[MAX_BPF_FUNC_ARGS];
};

enum bpf_arg_type {
	ARG_DONTCARE = 0,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_DYNPTR,
	PTR_MAYBE_NULL = 1 << 8,
	OBJ_RELEASE = 1 << 9,
	DYNPTR_TYPE_SKB = 1 << 10,
	DYNPTR_TYPE_FILE = 1 << 11,
};

struct bpf_func_proto {
	int arg_type[MAX_BPF_FUNC_ARGS];
};

struct bpf_kfunc_desc {
	struct btf_func_model func_model;
	struct bpf_func_proto proto;
	u32 func_id;
};

struct bpf_kfunc_desc_tab {
	struct bpf_kfunc_desc descs[16];
	u32 nr_descs;
};

struct bpf_prog_aux {
	struct bpf_kfunc_desc_tab *kfunc_tab;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
	enum bpf_prog_type type;
};

/* The kernel's side of a dynptr; programs have it on their stack. */
struct bpf_dynptr {
	__u64 opaque[2];
};

struct bpf_iter_num {
	__u64 opaque[1];
};

struct bpf_rb_node;
struct bpf_rb_root;
struct bpf_list_head;

enum bpf_prog_type resolve_prog_type(const struct bpf_prog *prog);

#endif
