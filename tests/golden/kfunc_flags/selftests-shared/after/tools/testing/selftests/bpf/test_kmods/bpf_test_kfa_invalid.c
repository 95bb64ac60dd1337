// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of kfuncs whose flags of arguments are wrong. Loading this module fails
 * unless each of them is refused, and the same kfuncs with proper flags are not.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#define KFA_UNKNOWN	0x80000000

__bpf_kfunc_start_defs();

__bpf_kfunc void bpf_test_kfa_scalar(u64 num)
{
}

__bpf_kfunc void bpf_test_kfa_unknown(struct task_struct *task)
{
}

__bpf_kfunc void bpf_test_kfa_missing(struct task_struct *task)
{
}

__bpf_kfunc void bpf_test_kfa_twice(struct task_struct *task)
{
}

__bpf_kfunc void bpf_test_kfa_releases(struct task_struct *a, struct task_struct *b)
{
}

__bpf_kfunc void bpf_test_kfa_stack(u64 a, u64 b, u64 c, u64 d, u64 e, struct task_struct *f)
{
}

__bpf_kfunc void bpf_test_kfa_kf_release(struct task_struct *a, struct task_struct *b)
{
}

__bpf_kfunc void bpf_test_kfa_kf_rcu(struct task_struct *a, struct task_struct *b)
{
}

__bpf_kfunc void bpf_test_kfa_number(int *num)
{
}

__bpf_kfunc void bpf_test_kfa_dynptr(struct bpf_dynptr *ptr)
{
}

__bpf_kfunc void bpf_test_kfa_ctx(struct __sk_buff *skb)
{
}

__bpf_kfunc void bpf_test_kfa_suffix(struct task_struct *task__ign)
{
}

__bpf_kfunc void bpf_test_kfa_implicit(struct task_struct *task, struct bpf_prog_aux *aux)
{
}

__bpf_kfunc void bpf_test_kfa_other(struct task_struct *a, struct task_struct *b)
{
}

__bpf_kfunc_end_defs();

/*
 * The build fails if resolve_btfids finds a set of kfuncs with wrong flags. So
 * these are no sets of kfuncs before kfa_register() makes them some.
 */
__BTF_KFUNC_ARGS_START(bpf_test_kfa_scalar_ids)
BTF_SET8_START(bpf_test_kfa_scalar_ids)
BTF_KFUNC(bpf_test_kfa_scalar, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_scalar_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_scalar_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_unknown_ids)
BTF_SET8_START(bpf_test_kfa_unknown_ids)
BTF_KFUNC(bpf_test_kfa_unknown, 0, KFA_RCU | KFA_UNKNOWN)
BTF_SET8_END(bpf_test_kfa_unknown_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_unknown_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_missing_ids)
BTF_SET8_START(bpf_test_kfa_missing_ids)
BTF_KFUNC(bpf_test_kfa_missing, 0, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_missing_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_missing_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_twice_ids)
BTF_SET8_START(bpf_test_kfa_twice_ids)
BTF_KFUNC(bpf_test_kfa_twice, 0, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_twice, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_twice_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_twice_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_releases_ids)
BTF_SET8_START(bpf_test_kfa_releases_ids)
BTF_KFUNC(bpf_test_kfa_releases, 0, KFA_RELEASE, KFA_RELEASE)
BTF_SET8_END(bpf_test_kfa_releases_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_releases_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_stack_ids)
BTF_SET8_START(bpf_test_kfa_stack_ids)
BTF_KFUNC(bpf_test_kfa_stack, 0, 0, 0, 0, 0, 0, KFA_RELEASE)
BTF_SET8_END(bpf_test_kfa_stack_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_stack_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_kf_release_ids)
BTF_SET8_START(bpf_test_kfa_kf_release_ids)
BTF_KFUNC(bpf_test_kfa_kf_release, KF_RELEASE, KFA_RELEASE)
BTF_SET8_END(bpf_test_kfa_kf_release_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_kf_release_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_kf_release_second_ids)
BTF_SET8_START(bpf_test_kfa_kf_release_second_ids)
BTF_KFUNC(bpf_test_kfa_kf_release, KF_RELEASE, 0, KFA_RELEASE)
BTF_SET8_END(bpf_test_kfa_kf_release_second_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_kf_release_second_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_kf_rcu_ids)
BTF_SET8_START(bpf_test_kfa_kf_rcu_ids)
BTF_KFUNC(bpf_test_kfa_kf_rcu, KF_RCU, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_kf_rcu_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_kf_rcu_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_number_ids)
BTF_SET8_START(bpf_test_kfa_number_ids)
BTF_KFUNC(bpf_test_kfa_number, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_number_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_number_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_dynptr_ids)
BTF_SET8_START(bpf_test_kfa_dynptr_ids)
BTF_KFUNC(bpf_test_kfa_dynptr, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_dynptr_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_dynptr_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_ctx_ids)
BTF_SET8_START(bpf_test_kfa_ctx_ids)
BTF_KFUNC(bpf_test_kfa_ctx, 0, KFA_RELEASE)
BTF_SET8_END(bpf_test_kfa_ctx_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_ctx_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_ctx_rcu_ids)
BTF_SET8_START(bpf_test_kfa_ctx_rcu_ids)
BTF_KFUNC(bpf_test_kfa_ctx, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_ctx_rcu_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_ctx_rcu_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_suffix_ids)
BTF_SET8_START(bpf_test_kfa_suffix_ids)
BTF_KFUNC(bpf_test_kfa_suffix, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_suffix_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_suffix_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_implicit_ids)
BTF_SET8_START(bpf_test_kfa_implicit_ids)
BTF_KFUNC(bpf_test_kfa_implicit, KF_IMPLICIT_ARGS, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_implicit_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_implicit_ids)

/* The same kfuncs with flags that are all right */
BTF_KFUNCS_START(bpf_test_kfa_valid_ids)
BTF_ID_FLAGS(func, bpf_test_kfa_scalar)
BTF_KFUNC(bpf_test_kfa_unknown, 0, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_missing, 0, KFA_RCU, 0)
BTF_KFUNC(bpf_test_kfa_twice, 0, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_releases, 0, KFA_RCU, KFA_RELEASE)
BTF_KFUNC(bpf_test_kfa_stack, 0, 0, 0, 0, 0, 0, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_kf_release, KF_RELEASE, 0, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_kf_rcu, KF_RCU, 0, KFA_RELEASE)
BTF_ID_FLAGS(func, bpf_test_kfa_number)
BTF_ID_FLAGS(func, bpf_test_kfa_dynptr)
BTF_ID_FLAGS(func, bpf_test_kfa_ctx)
BTF_ID_FLAGS(func, bpf_test_kfa_suffix)
BTF_KFUNC(bpf_test_kfa_implicit, KF_IMPLICIT_ARGS, KFA_RCU)
BTF_KFUNC(bpf_test_kfa_other, 0, KFA_RCU)
BTF_KFUNCS_END(bpf_test_kfa_valid_ids)

/* The flags of the arguments of a kfunc do not depend on the set */
__BTF_KFUNC_ARGS_START(bpf_test_kfa_none_ids)
BTF_SET8_START(bpf_test_kfa_none_ids)
BTF_ID_FLAGS(func, bpf_test_kfa_other)
BTF_SET8_END(bpf_test_kfa_none_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_none_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_other_ids)
BTF_SET8_START(bpf_test_kfa_other_ids)
BTF_KFUNC(bpf_test_kfa_other, 0, 0, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_other_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_other_ids)

__BTF_KFUNC_ARGS_START(bpf_test_kfa_more_ids)
BTF_SET8_START(bpf_test_kfa_more_ids)
BTF_KFUNC(bpf_test_kfa_other, 0, KFA_RCU, KFA_RCU)
BTF_SET8_END(bpf_test_kfa_more_ids)
__BTF_KFUNC_ARGS_END(bpf_test_kfa_more_ids)

struct kfa_test {
	const char *name;
	struct btf_id_set8 *set;
};

static const struct kfa_test malformed[] = {
	{ "flag of a scalar", &bpf_test_kfa_scalar_ids },
	{ "unknown flag", &bpf_test_kfa_unknown_ids },
	{ "flag of a missing argument", &bpf_test_kfa_missing_ids },
	{ "kfunc that is in the set twice", &bpf_test_kfa_twice_ids },
	{ "two released arguments", &bpf_test_kfa_releases_ids },
	{ "released argument on the stack", &bpf_test_kfa_stack_ids },
	{ "KFA_RELEASE and KF_RELEASE", &bpf_test_kfa_kf_release_ids },
	{ "KFA_RELEASE and KF_RELEASE of another argument", &bpf_test_kfa_kf_release_second_ids },
	{ "KFA_RCU and KF_RCU", &bpf_test_kfa_kf_rcu_ids },
	{ "KFA_RCU of a number", &bpf_test_kfa_number_ids },
	{ "KFA_RCU of a dynptr", &bpf_test_kfa_dynptr_ids },
	{ "KFA_RELEASE of the context", &bpf_test_kfa_ctx_ids },
	{ "KFA_RCU of the context", &bpf_test_kfa_ctx_rcu_ids },
	{ "KFA_RCU of an ignored argument", &bpf_test_kfa_suffix_ids },
	{ "flag of an implicit argument", &bpf_test_kfa_implicit_ids },
};

static const struct kfa_test inconsistent[] = {
	{ "no flag after a flag", &bpf_test_kfa_none_ids },
	{ "flag of another argument", &bpf_test_kfa_other_ids },
	{ "flag of one more argument", &bpf_test_kfa_more_ids },
};

static int kfa_register(enum bpf_prog_type type, struct btf_id_set8 *set)
{
	/* What follows the pairs is not part of the size of the set */
	const struct btf_kfunc_args_ref *ref = (void *)&set->pairs[set->cnt];
	struct btf_kfunc_id_set kset = {
		.owner = THIS_MODULE,
	};
	int err;

	/* The records are the last of it */
	kset.set = kmemdup(set, ref->off + ref->size, GFP_KERNEL);
	if (!kset.set)
		return -ENOMEM;

	kset.set->flags |= BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS;
	err = register_btf_kfunc_id_set(type, &kset);
	kfree(kset.set);
	return err;
}

static int kfa_refuse(enum bpf_prog_type type, const struct kfa_test *tests, int cnt)
{
	int i, err;

	for (i = 0; i < cnt; i++) {
		err = kfa_register(type, tests[i].set);
		if (err != -EINVAL) {
			pr_err("%s: got %d instead of %d\n", tests[i].name, err, -EINVAL);
			return -EBADMSG;
		}
	}

	return 0;
}

static int __init bpf_test_kfa_invalid_init(void)
{
	const struct btf_kfunc_id_set fmodret = {
		.owner = THIS_MODULE,
		.set = &bpf_test_kfa_valid_ids,
	};
	int err;

	err = kfa_refuse(BPF_PROG_TYPE_SYSCALL, malformed, ARRAY_SIZE(malformed));
	if (err)
		return err;

	err = kfa_register(BPF_PROG_TYPE_SYSCALL, &bpf_test_kfa_valid_ids);
	err = err ?: kfa_register(BPF_PROG_TYPE_TRACING, &bpf_test_kfa_valid_ids);
	if (err) {
		pr_err("valid flags: got %d\n", err);
		return err;
	}

	/*
	 * A module can have one set for a type of programs, so these are for one
	 * that has none yet. The set that agrees is not refused there.
	 */
	err = kfa_refuse(BPF_PROG_TYPE_SCHED_CLS, inconsistent, ARRAY_SIZE(inconsistent));
	if (err)
		return err;

	err = kfa_register(BPF_PROG_TYPE_SCHED_CLS, &bpf_test_kfa_valid_ids);
	if (err) {
		pr_err("flags that agree: got %d\n", err);
		return err;
	}

	/* Programs do not call functions whose return value they modify */
	err = register_btf_fmodret_id_set(&fmodret);
	if (err != -EINVAL) {
		pr_err("fmodret: got %d instead of %d\n", err, -EINVAL);
		return -EBADMSG;
	}

	return 0;
}

static void __exit bpf_test_kfa_invalid_exit(void)
{
}

module_init(bpf_test_kfa_invalid_init);
module_exit(bpf_test_kfa_invalid_exit);

MODULE_DESCRIPTION("BPF selftest for flags of kfunc arguments that are refused");
MODULE_LICENSE("GPL");
