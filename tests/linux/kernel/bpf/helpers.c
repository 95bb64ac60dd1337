// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs for every kind of program. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>
#include <linux/string.h>

struct task_struct {
	int pid;
	int usage;
};

struct cgroup {
	int level;
	int usage;
};

struct bpf_refcounted;

__bpf_kfunc_start_defs();

/**
 * bpf_task_acquire - Acquire a reference to a task.
 * @p: The task.
 */
__bpf_kfunc struct task_struct *bpf_task_acquire(struct task_struct *p)
{
	if (!p->usage)
		return NULL;
	p->usage++;
	return p;
}

/**
 * bpf_task_release - Release a reference to a task.
 * @p: The task.
 */
__bpf_kfunc void bpf_task_release(struct task_struct *p)
{
	p->usage--;
}

__bpf_kfunc struct task_struct *bpf_task_from_pid(s32 pid)
{
	return NULL;
}

__bpf_kfunc long bpf_task_under(struct task_struct *task, s32 depth,
				struct task_struct *ancestor)
{
	return task->pid - ancestor->pid - depth;
}

#ifdef CONFIG_CGROUPS
__bpf_kfunc struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp)
{
	cgrp->usage++;
	return cgrp;
}

__bpf_kfunc void bpf_cgroup_release(struct cgroup *cgrp)
{
	cgrp->usage--;
}

__bpf_kfunc struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level)
{
	return cgrp->level > level ? cgrp : NULL;
}
#endif /* CONFIG_CGROUPS */

#ifdef CONFIG_S390
__bpf_kfunc struct cgroup *bpf_lowcore(struct cgroup *cgrp)
{
	return cgrp;
}
#endif

__bpf_kfunc void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign)
{
	return p__refcounted_kptr;
}

__bpf_kfunc int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
{
	it->opaque[0] = start;
	return end < start;
}

__bpf_kfunc int *bpf_iter_num_next(struct bpf_iter_num *it)
{
	it->opaque[0]++;
	return (int *)it->opaque;
}

__bpf_kfunc void bpf_iter_num_destroy(struct bpf_iter_num *it)
{
	it->opaque[0] = 0;
}

__bpf_kfunc void *bpf_dynptr_slice(const struct bpf_dynptr *p, u64 offset,
				   void *buffer__nullable, u64 buffer__szk)
{
	return offset < buffer__szk ? buffer__nullable : NULL;
}

__bpf_kfunc int bpf_strcmp(const char *s1__ign, const char *s2__ign)
{
	return strcmp(s1__ign, s2__ign);
}

__bpf_kfunc int bpf_strncasecmp(const char *s1__ign, const char *s2__ign, size_t len)
{
	return strncmp(s1__ign, s2__ign, len);
}

__bpf_kfunc void bpf_rcu_read_lock(void)
{
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(generic_btf_ids)
BTF_ID_FLAGS(func, bpf_task_acquire, KF_ACQUIRE | KF_RCU | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_task_release, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_task_from_pid, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_task_under,
	     KF_RCU)
BTF_ID_FLAGS(func, bpf_refcount_acquire_impl, KF_ACQUIRE | KF_RET_NULL | KF_RCU)
#ifdef CONFIG_CGROUPS
BTF_ID_FLAGS(func, bpf_cgroup_acquire, KF_ACQUIRE | KF_RCU | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_cgroup_release, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_cgroup_ancestor, KF_ACQUIRE | KF_RCU | KF_RET_NULL)
#endif
#ifdef CONFIG_S390
BTF_ID_FLAGS(func, bpf_lowcore)
#endif
BTF_KFUNCS_END(generic_btf_ids)

static const struct btf_kfunc_id_set generic_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &generic_btf_ids,
};

BTF_KFUNCS_START(common_btf_ids)
BTF_ID_FLAGS(func, bpf_dynptr_slice, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_num_new, KF_ITER_NEW)
BTF_ID_FLAGS(func, bpf_iter_num_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_num_destroy, KF_ITER_DESTROY)
BTF_ID_FLAGS(func, bpf_iter_task_vma_new, KF_ITER_NEW | KF_RCU)
BTF_ID_FLAGS(func, bpf_iter_task_vma_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_task_vma_destroy, KF_ITER_DESTROY)
BTF_ID_FLAGS(func, bpf_strcmp);
BTF_ID_FLAGS(func, bpf_strncasecmp);
BTF_ID_FLAGS(func, bpf_rcu_read_lock)
#ifdef CONFIG_CGROUPS
BTF_ID_FLAGS(func, bpf_cgroup_read_xattr, KF_RCU)
#endif
BTF_KFUNCS_END(common_btf_ids)

static const struct btf_kfunc_id_set common_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &common_btf_ids,
};

static int kfunc_init(void)
{
	int ret;

	ret = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &generic_kfunc_set);
	ret = ret ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &generic_kfunc_set);
	return ret ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &common_kfunc_set);
}

late_initcall(kfunc_init);
