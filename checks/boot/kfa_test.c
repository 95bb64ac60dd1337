// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kfuncs for the programs of the check `boot`: each flag of an argument on its
 * own, at several places, and beside the flags of the whole kfunc.
 *
 * This is also built for the kernel that the series starts from, which lacks
 * the flags of arguments. A kfunc that can be described there has the flag of
 * the whole kfunc instead, the others don't exist. RELEASES_FIRST comes from
 * patchbot: the verifier takes KF_RELEASE for one of the first argument, and can
 * release a dynptr there.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/sched.h>

/* Where pointers need not be trusted, a kfunc asks for it */
#ifdef KF_TRUSTED_ARGS
#define TRUSTED	KF_TRUSTED_ARGS
#else
#define TRUSTED	0
#endif

struct kfa_obj {
	refcount_t refs;
	int value;
};

/* Another type, for which a reference must not be taken for the above */
struct kfa_other {
	refcount_t refs;
	int value;
};

/* For this one, a kfa_obj may be taken where the type need not be the same */
struct kfa_big {
	struct kfa_obj obj;
	int more;
};

/* Programs are only verified and never run, so there is nothing to count */
static struct kfa_obj kfa_obj;
static struct kfa_other kfa_other;
static struct kfa_big kfa_big;

__bpf_kfunc_start_defs();

__bpf_kfunc struct kfa_obj *kfa_get(void)
{
	return &kfa_obj;
}

__bpf_kfunc struct kfa_other *kfa_get_other(void)
{
	return &kfa_other;
}

__bpf_kfunc struct kfa_big *kfa_get_big(void)
{
	return &kfa_big;
}

__bpf_kfunc struct kfa_big *kfa_peek_big(void)
{
	return &kfa_big;
}

__bpf_kfunc void kfa_put_big(struct kfa_big *p)
{
}

/* Not acquired, so no reference comes with it */
__bpf_kfunc struct kfa_obj *kfa_peek(void)
{
	return &kfa_obj;
}

__bpf_kfunc void kfa_put(struct kfa_obj *p)
{
}

__bpf_kfunc void kfa_put_other(struct kfa_other *p)
{
}

__bpf_kfunc void kfa_legacy_release(struct kfa_obj *p, struct kfa_obj *q)
{
}

__bpf_kfunc void kfa_legacy_release_task(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc void kfa_legacy_rcu(struct task_struct *p, struct task_struct *q)
{
}

/* Memory of one of the two, it is not known of which */
__bpf_kfunc int *kfa_value_of(struct kfa_obj *p, struct kfa_obj *q)
{
	return &p->value;
}

__bpf_kfunc void kfa_legacy_none(struct task_struct *p)
{
}

__bpf_kfunc void kfa_legacy_trusted(struct task_struct *p)
{
}

__bpf_kfunc void kfa_release0(struct kfa_obj *p, struct kfa_obj *q)
{
}

__bpf_kfunc void kfa_release0_task(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc void kfa_rcu_all(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc_end_defs();

#ifdef KFA_RELEASE
__bpf_kfunc_start_defs();

__bpf_kfunc void kfa_release1(struct kfa_obj *q, struct kfa_obj *p)
{
}

__bpf_kfunc void kfa_release_last(u64 a, u64 b, u64 c, struct kfa_obj *q, struct kfa_obj *p)
{
}

__bpf_kfunc void kfa_release_beside(struct kfa_other *q, struct kfa_obj *p)
{
}

__bpf_kfunc struct kfa_obj *kfa_release_exchange(struct task_struct *task, struct kfa_obj *p)
{
	return &kfa_obj;
}

__bpf_kfunc void kfa_release_dynptr(struct bpf_dynptr *d, struct kfa_obj *p)
{
}

#ifdef RELEASES_FIRST
__bpf_kfunc void kfa_release_this_dynptr(struct bpf_dynptr *d)
{
}
#endif

__bpf_kfunc void kfa_release_task(struct task_struct *q, struct task_struct *p)
{
}

__bpf_kfunc void kfa_release_tasks(struct task_struct *q, struct task_struct *p)
{
}

__bpf_kfunc void kfa_rcu0(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc void kfa_rcu1(struct task_struct *q, struct task_struct *p)
{
}

__bpf_kfunc void kfa_release_rcu(struct task_struct *p, struct kfa_obj *q)
{
}

#ifdef KF_IMPLICIT_ARGS
__bpf_kfunc void kfa_rcu_implicit(struct task_struct *p, struct task_struct *q, struct bpf_prog_aux *aux)
{
}
#endif

__bpf_kfunc_end_defs();
#endif

#ifdef KFA_RDONLY
__bpf_kfunc_start_defs();

/* Only the second buffer is flagged */
__bpf_kfunc void kfa_rdonly(const void *p, u32 p__sz, const void *q, u32 q__sz)
{
}

__bpf_kfunc void kfa_rdonly_num(const u64 *p)
{
}

__bpf_kfunc_end_defs();
#endif

#if defined(KFA_UNINIT) && defined(KFA_RDONLY)
__bpf_kfunc_start_defs();

__bpf_kfunc void kfa_uninit_mem(void *p, u32 p__sz)
{
	memset(p, 0, p__sz);
}

__bpf_kfunc_end_defs();
#endif

#ifdef KFA_NULLABLE
__bpf_kfunc_start_defs();

__bpf_kfunc void kfa_nullable(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc void kfa_nullable_suffix(struct task_struct *p, struct task_struct *q__nullable)
{
}

__bpf_kfunc void kfa_rcu_nullable(struct task_struct *p, struct task_struct *q)
{
}

__bpf_kfunc void kfa_uninit(struct bpf_dynptr *d, int *p)
{
}

__bpf_kfunc void kfa_uninit_dynptr(struct bpf_dynptr *d, struct bpf_dynptr *e)
{
}

__bpf_kfunc void kfa_str(const char *s, const char *t)
{
}

__bpf_kfunc void kfa_const(u64 n, u64 m)
{
}

__bpf_kfunc void kfa_size(void *p, u32 n)
{
}

__bpf_kfunc void kfa_const_size(void *p, u32 n)
{
}

__bpf_kfunc void kfa_ignored(void *p, struct task_struct *q)
{
}

__bpf_kfunc_end_defs();
#endif

#ifdef KFA_ACQUIRE
__bpf_kfunc_start_defs();

__bpf_kfunc struct kfa_obj *kfa_acquire(struct kfa_obj *q, struct kfa_obj *p)
{
	return &kfa_obj;
}

__bpf_kfunc_end_defs();
#endif

BTF_KFUNCS_START(kfa_test_ids)
BTF_ID_FLAGS(func, kfa_get, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, kfa_get_other, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, kfa_get_big, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, kfa_peek)
BTF_ID_FLAGS(func, kfa_peek_big)
BTF_ID_FLAGS(func, kfa_put, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_put_other, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_put_big, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_legacy_release, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_legacy_release_task, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_legacy_rcu, KF_RCU)
BTF_ID_FLAGS(func, kfa_legacy_none)
BTF_ID_FLAGS(func, kfa_value_of, TRUSTED)
BTF_ID_FLAGS(func, kfa_legacy_trusted, TRUSTED)
#ifdef KFA_RELEASE
BTF_KFUNC(kfa_release0, 0, KFA_RELEASE)
BTF_KFUNC(kfa_release0_task, 0, KFA_RELEASE)
BTF_KFUNC(kfa_rcu_all, 0, KFA_RCU, KFA_RCU)
BTF_KFUNC(kfa_release1, 0, 0, KFA_RELEASE)
BTF_KFUNC(kfa_release_last, 0, 0, 0, 0, 0, KFA_RELEASE)
BTF_KFUNC(kfa_release_beside, 0, 0, KFA_RELEASE)
BTF_KFUNC(kfa_release_exchange, KF_ACQUIRE | KF_RET_NULL, KFA_RCU, KFA_RELEASE)
BTF_KFUNC(kfa_release_dynptr, 0, 0, KFA_RELEASE)
#ifdef RELEASES_FIRST
BTF_KFUNC(kfa_release_this_dynptr, 0, KFA_RELEASE)
#endif
BTF_KFUNC(kfa_release_task, 0, KFA_RCU, KFA_RELEASE)
BTF_KFUNC(kfa_release_tasks, 0, 0, KFA_RELEASE)
BTF_KFUNC(kfa_rcu0, 0, KFA_RCU)
BTF_KFUNC(kfa_rcu1, TRUSTED, 0, KFA_RCU)
BTF_KFUNC(kfa_release_rcu, 0, KFA_RCU, KFA_RELEASE)
#ifdef KF_IMPLICIT_ARGS
BTF_KFUNC(kfa_rcu_implicit, KF_IMPLICIT_ARGS, 0, KFA_RCU)
#endif
#else
/* What the programs of both kernels call has the flag of the whole kfunc */
BTF_ID_FLAGS(func, kfa_release0, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_release0_task, KF_RELEASE)
BTF_ID_FLAGS(func, kfa_rcu_all, KF_RCU)
#endif
#ifdef KFA_RDONLY
BTF_KFUNC(kfa_rdonly, TRUSTED, 0, 0, KFA_RDONLY)
BTF_KFUNC(kfa_rdonly_num, TRUSTED, KFA_RDONLY)
#endif
#if defined(KFA_UNINIT) && defined(KFA_RDONLY)
BTF_KFUNC(kfa_uninit_mem, TRUSTED, KFA_UNINIT)
#endif
#ifdef KFA_NULLABLE
BTF_KFUNC(kfa_nullable, TRUSTED, 0, KFA_NULLABLE)
BTF_ID_FLAGS(func, kfa_nullable_suffix, TRUSTED)
BTF_KFUNC(kfa_rcu_nullable, 0, KFA_RCU, KFA_RCU | KFA_NULLABLE)
BTF_KFUNC(kfa_uninit, TRUSTED, 0, KFA_UNINIT)
BTF_KFUNC(kfa_uninit_dynptr, 0, 0, KFA_UNINIT)
BTF_KFUNC(kfa_str, 0, 0, KFA_STR)
BTF_KFUNC(kfa_const, 0, 0, KFA_CONST)
BTF_KFUNC(kfa_size, 0, 0, KFA_SZ)
BTF_KFUNC(kfa_const_size, 0, 0, KFA_CONST_SZ)
BTF_KFUNC(kfa_ignored, 0, KFA_IGN)
#endif
#ifdef KFA_ACQUIRE
BTF_KFUNC(kfa_acquire, KF_RET_NULL, 0, KFA_ACQUIRE)
#endif
BTF_KFUNCS_END(kfa_test_ids)

static const struct btf_kfunc_id_set kfa_test_set = {
	.owner = THIS_MODULE,
	.set = &kfa_test_ids,
};

static int __init kfa_test_init(void)
{
	static const enum bpf_prog_type types[] = {
		BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_SCHED_CLS,
	};
	int i, err;

	/* More than one hook: the flags of arguments must agree with themselves */
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = register_btf_kfunc_id_set(types[i], &kfa_test_set);
		pr_info("patchbot: TESTSET %d: %d\n", i, err);
		if (err)
			return err;
	}

	return 0;
}
module_init(kfa_test_init);

MODULE_DESCRIPTION("kfuncs with argument flags for the check boot of patchbot");
MODULE_LICENSE("GPL");
