// SPDX-License-Identifier: GPL-2.0
#include <linux/btf_ids.h>
#include <net/list.h>

__bpf_kfunc void plain(struct task_struct *p)
{
}

__bpf_kfunc void converted(struct task_struct *p, struct cgroup *c)
{
}

__bpf_kfunc void half_converted(struct task_struct *p, struct cgroup *c)
{
}

__bpf_kfunc void implicit(struct task_struct *p, struct bpf_prog_aux *aux, struct cgroup *c)
{
}

/* what KF_RCU is not about: scalars, dynptrs, memory, callbacks, strings, ignored arguments */
__bpf_kfunc void other_classes(u64 flags, struct bpf_dynptr *ptr, void *buf, u32 buf__sz, struct task_struct *p,
			       int (callback_fn)(void *map, int *key, void *value), const char *name__str,
			       void *aux__ign)
{
}

BTF_KFUNCS_START(kept_ids)
BTF_ID_FLAGS(func, plain)
BTF_KFUNC(converted, 0, KFA_RCU, 0)
BTF_KFUNC(half_converted, KF_RCU | KF_SLEEPABLE, KFA_UNINIT, /* second */ 0)
BTF_ID_FLAGS(func, implicit, KF_IMPLICIT_ARGS | KF_RCU)
BTF_ID_FLAGS(func, other_classes, KF_RCU)
#define LIST_KFUNC(_, name) BTF_ID_FLAGS(func, name, KF_SLEEPABLE)
LIST_KFUNC_xxx
#undef LIST_KFUNC
BTF_KFUNCS_END(kept_ids)

BTF_SET8_START(fmodret_ids)
BTF_ID(func, not_a_kfunc)
BTF_SET8_END(fmodret_ids)
