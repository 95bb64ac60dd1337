// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs of schedulers; some of them are in the sets of idle.c too. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

#include "ext.h"

__bpf_kfunc_start_defs();

__bpf_kfunc bool scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags)
{
	return p && dsq_id < slice + enq_flags;
}

__bpf_kfunc bool __scx_bpf_dsq_insert_vtime(struct task_struct *p, struct scx_bpf_dsq_insert_vtime_args *args,
					    const struct bpf_prog_aux *aux)
{
	return p && args->dsq_id < args->vtime;
}

__bpf_kfunc void scx_bpf_dsq_move_set_slice(struct bpf_iter_scx_dsq *it__iter, u64 slice)
{
	it__iter->opaque[0] = slice;
}

__bpf_kfunc bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
				  u64 dsq_id, u64 enq_flags)
{
	return p && it__iter->opaque[0] == dsq_id + enq_flags;
}

__bpf_kfunc s32 scx_bpf_task_cpu(const struct task_struct *p)
{
	return p->cpu;
}

__bpf_kfunc void scx_bpf_put_cpumask(const struct cpumask *cpumask)
{
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(scx_kfunc_ids_enqueue_dispatch)
BTF_ID_FLAGS(func, scx_bpf_dsq_insert, KF_RCU)
BTF_ID_FLAGS(func, __scx_bpf_dsq_insert_vtime, KF_IMPLICIT_ARGS | KF_RCU)
BTF_KFUNCS_END(scx_kfunc_ids_enqueue_dispatch)

static const struct btf_kfunc_id_set scx_kfunc_set_enqueue_dispatch = {
	.owner = THIS_MODULE,
	.set   = &scx_kfunc_ids_enqueue_dispatch,
};

BTF_KFUNCS_START(scx_kfunc_ids_dispatch)
BTF_ID_FLAGS(func, scx_bpf_dsq_move_set_slice, KF_RCU)
BTF_ID_FLAGS(func, scx_bpf_dsq_move, KF_RCU)
BTF_KFUNCS_END(scx_kfunc_ids_dispatch)

static const struct btf_kfunc_id_set scx_kfunc_set_dispatch = {
	.owner = THIS_MODULE,
	.set   = &scx_kfunc_ids_dispatch,
};

BTF_KFUNCS_START(scx_kfunc_ids_any)
BTF_ID_FLAGS(func, scx_bpf_task_cpu, KF_RCU)
BTF_ID_FLAGS(func, scx_bpf_put_cpumask, KF_RELEASE)
BTF_ID_FLAGS(func, scx_bpf_dsq_move, KF_RCU)
BTF_KFUNCS_END(scx_kfunc_ids_any)

static const struct btf_kfunc_id_set scx_kfunc_set_any = {
	.owner = THIS_MODULE,
	.set   = &scx_kfunc_ids_any,
};

static int scx_init(void)
{
	int ret;

	ret = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &scx_kfunc_set_enqueue_dispatch);
	ret = ret ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &scx_kfunc_set_dispatch);
	return ret ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &scx_kfunc_set_any);
}

late_initcall(scx_init);
