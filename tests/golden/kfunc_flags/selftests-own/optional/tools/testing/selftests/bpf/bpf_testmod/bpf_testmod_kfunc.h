/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _BPF_TESTMOD_KFUNC_H
#define _BPF_TESTMOD_KFUNC_H

struct bpf_testmod_ctx {
	struct callback_head	rcu;
	refcount_t		usage;
};

void bpf_kfunc_dynptr_test(struct bpf_dynptr *ptr, struct bpf_dynptr *ptr__nullable) __ksym;

struct bpf_testmod_ctx *bpf_testmod_ctx_create(int *err) __ksym;
void bpf_testmod_ctx_release(struct bpf_testmod_ctx *ctx) __ksym;

void bpf_kfunc_arg_release_test(__u64 num, struct bpf_testmod_ctx *ctx) __ksym;
int bpf_kfunc_arg_release_second_test(struct bpf_testmod_ctx *kept,
				      struct bpf_testmod_ctx *ctx) __ksym;
void bpf_kfunc_arg_release_task_test(struct task_struct *kept, struct task_struct *task) __ksym;
void bpf_kfunc_arg_release_dynptr_test(struct bpf_dynptr *ptr, struct bpf_testmod_ctx *ctx) __ksym;
void bpf_kfunc_arg_release_ctx_test(const struct cpumask *mask, struct bpf_testmod_ctx *ctx) __ksym;
void bpf_kfunc_arg_release_mask_test(struct bpf_testmod_ctx *ctx,
				     const struct cpumask *mask) __ksym;
void bpf_kfunc_arg_rcu_first_test(struct task_struct *rcu, struct task_struct *trusted) __ksym;
void bpf_kfunc_arg_rcu_second_test(struct task_struct *trusted, struct task_struct *rcu) __ksym;
void bpf_kfunc_arg_nullable_test(struct task_struct *task, struct task_struct *nullable) __ksym;
void bpf_kfunc_arg_rcu_nullable_test(struct task_struct *task) __ksym;
void bpf_kfunc_arg_uninit_test(struct bpf_dynptr *ptr, struct bpf_dynptr *uninit) __ksym;
void bpf_kfunc_arg_str_test(const char *mem, const char *str) __ksym;
void bpf_kfunc_arg_const_test(__u64 num, __u64 cnst) __ksym;
void bpf_kfunc_arg_sz_test(void *mem, __u32 size) __ksym;
void bpf_kfunc_arg_const_sz_test(void *mem, __u32 size) __ksym;
void bpf_kfunc_arg_ign_test(struct task_struct *ign, struct task_struct *task) __ksym;
struct bpf_testmod_ctx *bpf_kfunc_arg_acquire_test(__u64 num, struct bpf_testmod_ctx *ctx) __ksym;
const struct cpumask *bpf_kfunc_arg_acquire_mask_test(struct bpf_testmod_ctx *ctx,
						      const struct cpumask *mask) __ksym;

void bpf_kfunc_rcu_task_test(struct task_struct *ptr) __ksym;

#endif /* _BPF_TESTMOD_KFUNC_H */
