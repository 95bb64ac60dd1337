// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs for sets of processors. Bob Bé wrote them. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

struct cpumask {
	unsigned long bits[1];
};

struct bpf_cpumask {
	struct cpumask cpumask;
	int usage;
};

BPF_KFUNC_SET_START(cpumask_kfunc_btf_ids)

__bpf_kfunc_start_defs();

__bpf_kfunc struct bpf_cpumask *bpf_cpumask_create(void)
{
	return NULL;
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_create, KF_ACQUIRE | KF_RET_NULL);

__bpf_kfunc struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask)
{
	cpumask->usage++;
	return cpumask;
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_acquire, KF_ACQUIRE);

__bpf_kfunc void bpf_cpumask_release(struct bpf_cpumask *cpumask)
{
	cpumask->usage--;
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_release, 0, KFA_RELEASE);

__bpf_kfunc u32 bpf_cpumask_first(const struct cpumask *cpumask)
{
	return cpumask->bits[0];
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_first, 0, KFA_RCU);

__bpf_kfunc u32 bpf_cpumask_first_and(const struct cpumask *src1,
				      const struct cpumask *src2)
{
	return src1->bits[0] & src2->bits[0];
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_first_and, 0, KFA_RCU, KFA_RCU);

__bpf_kfunc void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)
{
	cpumask->cpumask.bits[0] |= 1UL << cpu;
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_set_cpu, 0, 0, KFA_RCU);

__bpf_kfunc bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1,
				 const struct cpumask *src2)
{
	dst->cpumask.bits[0] = src1->bits[0] & src2->bits[0];
	return dst->cpumask.bits[0];
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_and, 0, KFA_RCU, KFA_RCU, KFA_RCU);

__bpf_kfunc int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz)
{
	cpumask->bits[0] = src ? src__sz : 0;
	return 0;
}
BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_populate, 0, KFA_RCU);

__bpf_kfunc_end_defs();

BPF_KFUNC_SET_END(cpumask_kfunc_btf_ids)

static const struct btf_kfunc_id_set cpumask_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &cpumask_kfunc_btf_ids,
};

static int cpumask_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &cpumask_kfunc_set);
}

late_initcall(cpumask_kfunc_init);
