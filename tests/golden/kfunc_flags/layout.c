// SPDX-License-Identifier: GPL-2.0
/* Rows in every layout; BTF_KFUNCS_START(in_a_comment) is none. */
#include <linux/btf_ids.h>

__bpf_kfunc struct task_struct *task_acquire(struct task_struct *p)
{
	return p;
}

__bpf_kfunc void task_release(struct task_struct *p)
{
}

__bpf_kfunc int
task_in_cgroup(struct task_struct *p,
	       struct cgroup *ancestor)
{
	return 0;
}

__bpf_kfunc int iter_task_new(struct bpf_iter_task *it, struct task_struct *p, u64 addr)
{
	return 0;
}

__bpf_kfunc
struct task_struct *a_name_that_is_long_enough_to_fill_most_of_a_line(struct cgroup *c, struct task_struct *p)
{
	return p;
}

__bpf_kfunc struct task_struct *put_and_get(struct cgroup *c, struct task_struct *p)
{
	return p;
}

#ifdef CONFIG_S390
__bpf_kfunc void under_if(struct task_struct *p)
{
}
#endif

BTF_KFUNCS_START(layout_ids)
BTF_ID_FLAGS(func, task_acquire, KF_ACQUIRE | KF_RCU | KF_RET_NULL)
BTF_ID_FLAGS(func, task_release, KF_RELEASE);
BTF_ID_FLAGS(func,   task_in_cgroup,KF_RCU)	/* odd blanks stay */
BTF_ID_FLAGS(func, iter_task_new, KF_ITER_NEW | KF_RCU) // so do comments: KF_RCU
BTF_ID_FLAGS(func, a_name_that_is_long_enough_to_fill_most_of_a_line, KF_ACQUIRE | KF_RCU | KF_SLEEPABLE)
BTF_ID_FLAGS(func, put_and_get,
	     KF_ACQUIRE | KF_RET_NULL |
	     KF_RELEASE | /* not only */ KF_RCU)
#ifdef CONFIG_S390
BTF_ID_FLAGS(func, under_if, KF_RCU | KF_SLEEPABLE);
#endif
BTF_KFUNCS_END(layout_ids)
