/* SPDX-License-Identifier: GPL-2.0 */
#define KF_ACQUIRE	(1 << 0) /* kfunc is an acquire function */
#define KF_RELEASE	(1 << 1) /* kfunc is a release function */
#define KF_RCU          (1 << 7) /* kfunc takes either rcu or trusted pointer arguments */
#define KF_ARENA_ARG1   (1 << 14) /* kfunc takes an arena pointer as its first argument */
#define KF_IMPLICIT_ARGS (1 << 16) /* kfunc has implicit arguments supplied by the verifier */

/*
 * Flags of a single argument of a kfunc. These need to be macros, too: the
 * assembler gets them.
 *
 * The flags of argument n are the nth after the flags of the kfunc:
 *
 *	BTF_KFUNC(bpf_task_release, 0, KFA_RELEASE)
 *	BTF_KFUNC(bpf_iter_task_vma_new, KF_ITER_NEW, 0, KFA_RCU)
 *
 * KFA_RELEASE and KFA_RCU can't be mixed with KF_RELEASE and KF_RCU, which are
 * shorthands for "the first argument" and "every argument", respectively.
 */
#define KFA_RELEASE	(1 << 0) /* reference passed in this argument is released */
#define KFA_RCU		(1 << 1) /* takes either rcu or trusted pointer */
#define KFA_NULLABLE	(1 << 4) /* pointer may be NULL, same as __nullable */
#define KFA_STR		(1 << 5) /* points to a constant string, same as __str */
#define KFA_CONST	(1 << 6) /* scalar is a known constant, same as __k */
#define KFA_SZ		(1 << 7) /* size of the previous argument, same as __sz */
#define KFA_CONST_SZ	(1 << 8) /* constant size of the previous argument, same as __szk */
#define KFA_IGN		(1 << 9) /* not checked by the verifier, same as __ign */
#define KFA_RDONLY	(1 << 2) /* points to memory that is only read */
#define KFA_UNINIT	(1 << 3) /* points to memory that is always written, never read */
#define KFA_ACQUIRE	(1 << 10) /* takes a reference on this object and returns the object */
#define KFA_ARENA	(1 << 11) /* points into an arena */

/* Flags that an argument can have */
#define KFA_VALID_FLAGS	(KFA_RELEASE | KFA_RCU | KFA_RDONLY | KFA_UNINIT | \
			 KFA_NULLABLE | KFA_STR | KFA_CONST | KFA_SZ | \
			 KFA_CONST_SZ | KFA_IGN | KFA_ACQUIRE | KFA_ARENA)

#define __bpf_kfunc __used __retain

#ifdef CONFIG_BPF_SYSCALL
u32 *btf_kfunc_flags(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog);
int btf_kfunc_check_flag(const struct btf *btf, u32 kfunc_btf_id, u32 flag);
void btf_kfunc_arg_flags(const struct btf *btf, u32 kfunc_btf_id, u16 *flags);
bool btf_kfunc_is_allowed(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog);
#endif
