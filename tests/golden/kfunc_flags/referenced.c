// SPDX-License-Identifier: GPL-2.0
/* A verifier that releases whichever argument is referenced, and refuses NULL because of KF_RCU. */
#include <linux/btf_ids.h>

__bpf_kfunc void put_second(u64 flags, struct task_struct *p)
{
}

__bpf_kfunc s32 select_cpu(struct task_struct *p, s32 prev_cpu, bool *is_idle)
{
	return 0;
}

BTF_KFUNCS_START(referenced_ids)
BTF_ID_FLAGS(func, put_second, KF_TRUSTED_ARGS | KF_RELEASE)
BTF_ID_FLAGS(func, select_cpu, KF_RCU)
BTF_KFUNCS_END(referenced_ids)
