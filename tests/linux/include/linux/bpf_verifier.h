/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_BPF_VERIFIER_H
#define _LINUX_BPF_VERIFIER_H

#include <linux/bpf.h>
#include <linux/btf.h>

enum bpf_reg_type {
	NOT_INIT = 0,
	SCALAR_VALUE,
	PTR_TO_BTF_ID,
	PTR_TO_STACK,
	MEM_RCU = 1 << 8,
	PTR_TRUSTED = 1 << 9,
};

struct tnum {
	u64 value;
	u64 mask;
};

enum bpf_dynptr_type {
	BPF_DYNPTR_TYPE_INVALID,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_FILE,
};

struct bpf_reg_state {
	u32 type;
	u32 id;
	u32 parent_id;
	u32 ref_obj_id;
	struct {
		enum bpf_dynptr_type type;
	} dynptr;
	struct tnum var_off;
	const struct btf *btf;
	u32 btf_id;
};

struct bpf_stack_state {
	struct bpf_reg_state spilled_ptr;
};

struct bpf_func_state {
	struct bpf_reg_state regs[MAX_BPF_REG];
	struct bpf_reg_state stack_arg_regs[MAX_BPF_FUNC_ARGS - MAX_BPF_FUNC_REG_ARGS];
	struct bpf_stack_state stack[8];
};

struct bpf_verifier_log {
	u32 level;
};

struct bpf_verifier_env {
	struct bpf_prog *prog;
	struct bpf_verifier_log log;
	struct bpf_func_state frame;
};

/* How many arguments are references, and the last one. */
struct ref_obj_desc {
	u32 id;
	int cnt;
};

struct bpf_dynptr_desc {
	u32 id;
};

/* What is known of a call: of a helper or of a kfunc. */
struct bpf_call_arg_meta {
	struct btf *btf;
	u32 func_id;
	const struct bpf_func_proto *fn;
	u8 release_regno;
	struct bpf_dynptr_desc dynptr;
	struct ref_obj_desc ref_obj;

	/* Only of kfuncs */
	bool r0_rdonly;
	u32 kfunc_flags;
	const struct btf_type *func_proto;
	const char *func_name;
};

void verbose(struct bpf_verifier_env *env, const char *format, ...) __printf(2, 3);
void bpf_log(struct bpf_verifier_log *log, const char *format, ...) __printf(2, 3);
void verifier_bug(struct bpf_verifier_env *env, const char *format, ...) __printf(2, 3);
int bpf_fetch_kfunc_arg_meta(struct bpf_verifier_env *env, s32 func_id, s16 offset,
			     struct bpf_call_arg_meta *meta);
int bpf_add_kfunc_call(struct bpf_verifier_env *env, u32 func_id, u16 offset);
long long bpf_kfunc_stack_access_bytes(struct bpf_verifier_env *env, struct bpf_insn *insn, int arg);
int bpf_check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn);

#endif
