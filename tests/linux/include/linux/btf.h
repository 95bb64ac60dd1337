/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_BTF_H
#define _LINUX_BTF_H

#include <linux/bpf.h>
#include <linux/bsearch.h>
#include <linux/btf_ids.h>
#include <uapi/linux/btf.h>

/* The assembler gets these expressions, so that they have to be macros. */
#define KF_ACQUIRE	(1 << 0) /* returns a reference */
#define KF_RELEASE	(1 << 1) /* releases a reference */
#define KF_RET_NULL	(1 << 2) /* may return NULL */
#define KF_SLEEPABLE	(1 << 5) /* may sleep */
#define KF_DESTRUCTIVE	(1 << 6) /* may do damage */
#define KF_RCU		(1 << 7) /* takes rcu or trusted pointers */
/* At most one of these three. */
#define KF_ITER_NEW	(1 << 8) /* makes an iterator */
#define KF_ITER_NEXT	(1 << 9) /* moves an iterator on */
#define KF_ITER_DESTROY	(1 << 10) /* ends an iterator */
#define KF_RCU_PROTECTED (1 << 11) /* needs an RCU read section around it */
#define KF_FASTCALL	(1 << 12) /* keeps the registers of the caller */
#define KF_ARENA_RET	(1 << 13) /* returns an arena pointer */
#define KF_ARENA_ARG1	(1 << 14) /* its first argument is an arena pointer */
#define KF_ARENA_ARG2	(1 << 15) /* its second argument is an arena pointer */
#define KF_IMPLICIT_ARGS (1 << 16) /* the verifier supplies its last arguments */
#define KF_SPINLOCK_SAFE (1 << 17) /* allowed while a bpf_spin_lock is held */
#define KF_PERFMON	(1 << 18) /* requires CAP_PERFMON */

/* Marks the definition of a kfunc, which no compiler may inline or drop. */
#define __bpf_kfunc __used __retain __noclone noinline

#define __bpf_kfunc_start_defs()					\
	__diag_push();							\
	__diag_ignore_all("-Wmissing-declarations", "kfuncs are in BTF");\
	__diag_ignore_all("-Wmissing-prototypes", "kfuncs are in BTF")

#define __bpf_kfunc_end_defs() __diag_pop()
#define __bpf_hook_start() __bpf_kfunc_start_defs()
#define __bpf_hook_end() __bpf_kfunc_end_defs()

struct module;

typedef int (*btf_kfunc_filter_t)(const struct bpf_prog *prog, u32 kfunc_id);

struct btf_kfunc_id_set {
	struct module *owner;
	struct btf_id_set8 *set;
	btf_kfunc_filter_t filter;
};

const struct btf_type *btf_type_by_id(const struct btf *btf, u32 type_id);
const struct btf_type *btf_type_skip_modifiers(const struct btf *btf, u32 id, u32 *res_id);
const char *btf_name_by_offset(const struct btf *btf, u32 offset);
bool btf_param_match_suffix(const struct btf *btf, const struct btf_param *arg, const char *suffix);
u32 btf_relocate_id(const struct btf *btf, u32 id);
struct btf *bpf_get_btf_vmlinux(void);
void btf_put(struct btf *btf);

static inline u32 btf_type_vlen(const struct btf_type *t)
{
	return BTF_INFO_VLEN(t->info);
}

static inline bool btf_type_is_ptr(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_PTR;
}

static inline bool btf_type_is_scalar(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_INT;
}

static inline bool btf_type_is_struct(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT;
}

static inline bool btf_type_is_array(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_ARRAY;
}

static inline bool btf_type_is_void(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_UNKN;
}

static inline bool btf_type_is_modifier(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_TYPEDEF || BTF_INFO_KIND(t->info) == BTF_KIND_CONST;
}

static inline bool btf_type_is_func(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_FUNC;
}

static inline bool btf_type_is_func_proto(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_FUNC_PROTO;
}

static inline const struct btf_param *btf_params(const struct btf_type *t)
{
	return (const struct btf_param *)(t + 1);
}

static inline const struct btf_array *btf_array(const struct btf_type *t)
{
	return (const struct btf_array *)(t + 1);
}

static inline const struct btf_member *btf_type_member(const struct btf_type *t)
{
	return (const struct btf_member *)(t + 1);
}

#define for_each_member(i, struct_type, member)			\
	for (i = 0, member = btf_type_member(struct_type);	\
	     i < btf_type_vlen(struct_type);			\
	     i++, member++)

static inline int btf_id_cmp_func(const void *a, const void *b)
{
	const int *pa = a, *pb = b;

	return *pa - *pb;
}

static inline void *btf_id_set8_contains(const struct btf_id_set8 *set, u32 id)
{
	return bsearch(&id, set->pairs, set->cnt, sizeof(set->pairs[0]), btf_id_cmp_func);
}

#ifdef CONFIG_BPF_SYSCALL
u32 *btf_kfunc_flags(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog);
int btf_kfunc_check_flag(const struct btf *btf, u32 kfunc_btf_id, u32 flag);
bool btf_kfunc_is_allowed(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog);
u32 *btf_kfunc_is_modify_return(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog);
int register_btf_kfunc_id_set(enum bpf_prog_type prog_type, const struct btf_kfunc_id_set *kset);
int register_btf_fmodret_id_set(const struct btf_kfunc_id_set *kset);
#else
static inline int register_btf_kfunc_id_set(enum bpf_prog_type prog_type, const struct btf_kfunc_id_set *kset)
{
	return 0;
}

static inline int register_btf_fmodret_id_set(const struct btf_kfunc_id_set *kset)
{
	return 0;
}
#endif

#endif
