/* SPDX-License-Identifier: GPL-2.0 */
#define KF_RELEASE	(1 << 1) /* kfunc is a release function */
#define KF_TRUSTED_ARGS (1 << 4) /* kfunc only takes trusted pointer arguments */
#define KF_RCU          (1 << 7) /* kfunc takes either rcu or trusted pointer arguments */

#ifdef CONFIG_BPF_SYSCALL
u32 *btf_kfunc_id_set_contains(const struct btf *btf, u32 kfunc_btf_id,
			       const struct bpf_prog *prog);
#else
static inline u32 *btf_kfunc_id_set_contains(const struct btf *btf,
					     u32 kfunc_btf_id,
					     struct bpf_prog *prog)
{
	return NULL;
}
#endif
