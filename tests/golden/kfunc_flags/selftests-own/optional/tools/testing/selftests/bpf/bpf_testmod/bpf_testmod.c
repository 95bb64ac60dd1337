// SPDX-License-Identifier: GPL-2.0
#include <linux/btf.h>
#include "bpf_testmod_kfunc.h"

__bpf_hook_start();

__bpf_kfunc void bpf_kfunc_rcu_task_test(struct task_struct *ptr)
{
}

__bpf_kfunc void bpf_testmod_ctx_release(struct bpf_testmod_ctx *ctx)
{
	if (!ctx)
		return;
	if (refcount_dec_and_test(&ctx->usage))
		call_rcu(&ctx->rcu, testmod_free_cb);
}

/* The kfuncs below have flags of single arguments, see progs/kfunc_arg_flags.c */

__bpf_kfunc void bpf_kfunc_arg_release_test(u64 num, struct bpf_testmod_ctx *ctx)
{
	bpf_testmod_ctx_release(ctx);
}

/* Return how many references there are to the object that is kept */
__bpf_kfunc int bpf_kfunc_arg_release_second_test(struct bpf_testmod_ctx *kept,
						  struct bpf_testmod_ctx *ctx)
{
	bpf_testmod_ctx_release(ctx);
	return refcount_read(&kept->usage);
}

/* Nothing is released, modules can't: only programs that are not run call this */
__bpf_kfunc void bpf_kfunc_arg_release_task_test(struct task_struct *kept,
						 struct task_struct *task)
{
}

__bpf_kfunc void bpf_kfunc_arg_release_dynptr_test(struct bpf_dynptr *ptr,
						   struct bpf_testmod_ctx *ctx)
{
	bpf_testmod_ctx_release(ctx);
}

__bpf_kfunc void bpf_kfunc_arg_release_ctx_test(const struct cpumask *mask,
						struct bpf_testmod_ctx *ctx)
{
	bpf_testmod_ctx_release(ctx);
}

/* This one can't be called: no kfunc acquires a plain cpumask */
__bpf_kfunc void bpf_kfunc_arg_release_mask_test(struct bpf_testmod_ctx *ctx,
						 const struct cpumask *mask)
{
}

__bpf_kfunc void bpf_kfunc_arg_rcu_first_test(struct task_struct *rcu,
					      struct task_struct *trusted)
{
}

__bpf_kfunc void bpf_kfunc_arg_rcu_second_test(struct task_struct *trusted,
					       struct task_struct *rcu)
{
}

/* The flags of these are equal to the suffixes of names */

__bpf_kfunc void bpf_kfunc_arg_nullable_test(struct task_struct *task,
					     struct task_struct *nullable)
{
}

__bpf_kfunc void bpf_kfunc_arg_rcu_nullable_test(struct task_struct *task)
{
}

__bpf_kfunc void bpf_kfunc_arg_uninit_test(struct bpf_dynptr *ptr, struct bpf_dynptr *uninit)
{
}

__bpf_kfunc void bpf_kfunc_arg_str_test(const char *mem, const char *str)
{
}

__bpf_kfunc void bpf_kfunc_arg_const_test(u64 num, u64 cnst)
{
}

__bpf_kfunc void bpf_kfunc_arg_sz_test(void *mem, u32 size)
{
}

__bpf_kfunc void bpf_kfunc_arg_const_sz_test(void *mem, u32 size)
{
}

__bpf_kfunc void bpf_kfunc_arg_ign_test(struct task_struct *ign, struct task_struct *task)
{
}

/* These return a reference on an argument */

__bpf_kfunc struct bpf_testmod_ctx *bpf_kfunc_arg_acquire_test(u64 num, struct bpf_testmod_ctx *ctx)
{
	refcount_inc(&ctx->usage);
	return ctx;
}

/* Only programs that are not run call this one: they can't release a plain cpumask */
__bpf_kfunc const struct cpumask *bpf_kfunc_arg_acquire_mask_test(struct bpf_testmod_ctx *ctx,
								  const struct cpumask *mask)
{
	return mask;
}

noinline int bpf_testmod_loop_test(int n)
{
	return n;
}

__bpf_hook_end();

BTF_KFUNCS_START(bpf_testmod_common_kfunc_ids)
BTF_ID_FLAGS(func, bpf_kfunc_rcu_task_test, KF_RCU)
BTF_ID_FLAGS(func, bpf_testmod_ctx_release, KF_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_second_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_task_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_dynptr_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_ctx_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_release_mask_test, 0, 0, KFA_RELEASE)
BTF_KFUNC(bpf_kfunc_arg_rcu_first_test, KF_TRUSTED_ARGS, KFA_RCU)
BTF_KFUNC(bpf_kfunc_arg_rcu_second_test, KF_TRUSTED_ARGS, 0, KFA_RCU)
BTF_KFUNC(bpf_kfunc_arg_nullable_test, KF_TRUSTED_ARGS, 0, KFA_NULLABLE)
BTF_KFUNC(bpf_kfunc_arg_rcu_nullable_test, KF_TRUSTED_ARGS, KFA_RCU | KFA_NULLABLE)
BTF_KFUNC(bpf_kfunc_arg_uninit_test, 0, 0, KFA_UNINIT | KFA_NULLABLE)
BTF_KFUNC(bpf_kfunc_arg_str_test, 0, 0, KFA_STR)
BTF_KFUNC(bpf_kfunc_arg_const_test, 0, 0, KFA_CONST)
BTF_KFUNC(bpf_kfunc_arg_sz_test, KF_TRUSTED_ARGS, 0, KFA_SZ)
BTF_KFUNC(bpf_kfunc_arg_const_sz_test, KF_TRUSTED_ARGS, KFA_NULLABLE, KFA_CONST_SZ)
BTF_KFUNC(bpf_kfunc_arg_ign_test, KF_TRUSTED_ARGS, KFA_IGN)
BTF_KFUNC(bpf_kfunc_arg_acquire_test, KF_TRUSTED_ARGS, 0, KFA_ACQUIRE)
BTF_KFUNC(bpf_kfunc_arg_acquire_mask_test, KF_TRUSTED_ARGS, 0, KFA_ACQUIRE)
BTF_KFUNCS_END(bpf_testmod_common_kfunc_ids)

BTF_KFUNCS_START(bpf_testmod_check_kfunc_ids)
BTF_ID_FLAGS(func, bpf_testmod_test_mod_kfunc)
BTF_KFUNCS_END(bpf_testmod_check_kfunc_ids)
