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

__bpf_kfunc_start_defs();

__bpf_kfunc struct bpf_cpumask *bpf_cpumask_create(void)
{
	return NULL;
}

__bpf_kfunc struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask)
{
	cpumask->usage++;
	return cpumask;
}

__bpf_kfunc void bpf_cpumask_release(struct bpf_cpumask *cpumask)
{
	cpumask->usage--;
}

__bpf_kfunc u32 bpf_cpumask_first(const struct cpumask *cpumask)
{
	return cpumask->bits[0];
}

__bpf_kfunc u32 bpf_cpumask_first_and(const struct cpumask *src1,
				      const struct cpumask *src2)
{
	return src1->bits[0] & src2->bits[0];
}

__bpf_kfunc void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)
{
	cpumask->cpumask.bits[0] |= 1UL << cpu;
}

__bpf_kfunc bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1,
				 const struct cpumask *src2)
{
	dst->cpumask.bits[0] = src1->bits[0] & src2->bits[0];
	return dst->cpumask.bits[0];
}

__bpf_kfunc int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz)
{
	cpumask->bits[0] = src ? src__sz : 0;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(cpumask_kfunc_btf_ids)
BTF_ID_FLAGS(func, bpf_cpumask_create, KF_ACQUIRE | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_cpumask_release, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_cpumask_acquire, KF_ACQUIRE)
BTF_ID_FLAGS(func, bpf_cpumask_first, KF_RCU)
BTF_ID_FLAGS(func, bpf_cpumask_first_and, KF_RCU)
BTF_ID_FLAGS(func, bpf_cpumask_set_cpu, KF_RCU)
BTF_ID_FLAGS(func, bpf_cpumask_and, KF_RCU)
BTF_ID_FLAGS(func, bpf_cpumask_populate, KF_RCU)
BTF_KFUNCS_END(cpumask_kfunc_btf_ids)

static const struct btf_kfunc_id_set cpumask_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &cpumask_kfunc_btf_ids,
};

static int cpumask_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &cpumask_kfunc_set);
}

late_initcall(cpumask_kfunc_init);
