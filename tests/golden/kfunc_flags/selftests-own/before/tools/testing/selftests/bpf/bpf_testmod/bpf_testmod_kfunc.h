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

void bpf_kfunc_rcu_task_test(struct task_struct *ptr) __ksym;

#endif /* _BPF_TESTMOD_KFUNC_H */
