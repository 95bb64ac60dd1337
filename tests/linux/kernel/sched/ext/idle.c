// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs of schedulers that are about idle processors. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

#include "ext.h"

__bpf_kfunc_start_defs();

__bpf_kfunc const struct cpumask *scx_bpf_get_idle_cpumask(void)
{
	return NULL;
}

__bpf_kfunc s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, u64 flags)
{
	return cpus_allowed->bits[0] & flags;
}

__bpf_kfunc s32
__scx_bpf_select_cpu_and(struct task_struct *p, const struct cpumask *cpus_allowed,
			 struct scx_bpf_select_cpu_and_args *args,
			 const struct bpf_prog_aux *aux)
{
	return cpus_allowed->bits[0] ? args->prev_cpu : p->cpu;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(scx_kfunc_ids_idle)
BTF_ID_FLAGS(func, scx_bpf_get_idle_cpumask, KF_ACQUIRE)
BTF_ID_FLAGS(func, scx_bpf_pick_idle_cpu, KF_RCU)
BTF_ID_FLAGS(func, scx_bpf_put_cpumask, KF_RELEASE)
BTF_ID_FLAGS(func, scx_bpf_task_cpu, KF_RCU)
BTF_KFUNCS_END(scx_kfunc_ids_idle)

static const struct btf_kfunc_id_set scx_kfunc_set_idle = {
	.owner = THIS_MODULE,
	.set   = &scx_kfunc_ids_idle,
};

BTF_KFUNCS_START(scx_kfunc_ids_select_cpu)
BTF_ID_FLAGS(func, __scx_bpf_select_cpu_and, KF_IMPLICIT_ARGS | KF_RCU)
BTF_KFUNCS_END(scx_kfunc_ids_select_cpu)

static const struct btf_kfunc_id_set scx_kfunc_set_select_cpu = {
	.owner = THIS_MODULE,
	.set   = &scx_kfunc_ids_select_cpu,
};

static int scx_idle_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &scx_kfunc_set_idle) ?:
	       register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &scx_kfunc_set_select_cpu);
}

late_initcall(scx_idle_init);
