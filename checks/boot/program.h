/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of programs.toml need: the few types whose members they
 * read, as the running kernel has them, and the kfuncs that they call.
 */
#ifndef __PATCHBOT_BOOT_PROGRAM_H
#define __PATCHBOT_BOOT_PROGRAM_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

#define NULL ((void *)0)

enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27, BPF_MAP_TYPE_ARENA = 33 };

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* These are in bpf_experimental.h of the selftests */
#define new_object(type)	((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), NULL))
#define new_percpu(type)	((type __percpu_kptr *)bpf_percpu_obj_new_impl(bpf_core_type_id_local(type), NULL))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask { unsigned long bits[1]; };
struct bpf_cpumask { struct cpumask cpumask; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct cgroup { struct cgroup_subsys_state self; int level; };
struct css_set { struct cgroup *dfl_cgrp; };
struct mm_struct { struct file *exe_file; };
struct vm_area_struct { unsigned long vm_start; };
struct file { unsigned int f_flags; };
struct task_struct {
	int pid;
	struct task_struct *real_parent;
	struct task_struct *parent;
	struct task_struct *group_leader;
	struct css_set *cgroups;
	struct mm_struct *mm;
	const struct cpumask *cpus_ptr;
	struct cpumask *user_cpus_ptr;
};
struct bpf_key { bool has_ref; };
struct mem_cgroup { struct cgroup_subsys_state css; };
struct nf_conn { unsigned long status; };
struct bpf_crypto_ctx { unsigned int siv_len; };
struct __sk_buff { __u32 len; };
struct bpf_dynptr { __u64 __opaque[2]; } __attribute__((aligned(8)));
struct bpf_iter_task_vma { __u64 __opaque[1]; } __attribute__((aligned(8)));

#pragma clang attribute pop

struct bpf_sock_tuple {
	struct { __be32 saddr, daddr; __be16 sport, dport; } ipv4;
};

struct bpf_ct_opts___local {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
} __attribute__((preserve_access_index));

struct bpf_crypto_params___local {
	char type[14];
	__u8 reserved[2];
	char algo[128];
	__u8 key[256];
	__u32 key_len;
	__u32 authsize;
};

/* kfuncs of the kernel */
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 cgid) __ksym;
extern long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor) __ksym;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym;
extern __u32 bpf_cpumask_first(const struct cpumask *cpumask) __ksym;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *cpumask) __ksym;
extern bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2) __ksym;
extern void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src) __ksym;
extern bool bpf_cpumask_subset(const struct cpumask *src1, const struct cpumask *src2) __ksym;
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;
extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
extern void *bpf_percpu_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *kptr, void *meta) __ksym;
extern struct file *bpf_get_task_exe_file(struct task_struct *task) __ksym;
extern void bpf_put_file(struct file *file) __ksym;
extern struct bpf_key *bpf_lookup_system_key(__u64 id) __ksym;
extern void bpf_key_put(struct bpf_key *key) __ksym;
extern struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
extern void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
extern const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
extern void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym;
extern __s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
extern int bpf_dynptr_from_file(struct file *file, __u32 flags, struct bpf_dynptr *ptr) __ksym;
extern int bpf_dynptr_file_discard(struct bpf_dynptr *dynptr) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params___local *params,
						    __u32 params__sz, int *err) __ksym;
extern struct bpf_crypto_ctx *bpf_crypto_ctx_acquire(struct bpf_crypto_ctx *ctx) __ksym;
extern void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx) __ksym;
extern int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src,
			      const struct bpf_dynptr *dst, const struct bpf_dynptr *siv) __ksym;
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple__sz,
					 struct bpf_ct_opts___local *opts, __u32 opts__sz) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

/* kfuncs of kfa_test.c */
struct kfa_obj { int value; };
struct kfa_other { int value; };
struct kfa_big { struct kfa_obj obj; };

extern struct kfa_obj *kfa_get(void) __ksym;
extern struct kfa_obj *kfa_peek(void) __ksym;
extern struct kfa_big *kfa_get_big(void) __ksym;
extern struct kfa_big *kfa_peek_big(void) __ksym;
extern struct kfa_other *kfa_get_other(void) __ksym;
extern void kfa_put(struct kfa_obj *p) __ksym;
extern void kfa_put_big(struct kfa_big *p) __ksym;
extern void kfa_put_other(struct kfa_other *p) __ksym;
extern void kfa_legacy_release(struct kfa_obj *p, struct kfa_obj *q) __ksym;
extern void kfa_legacy_release_task(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_legacy_rcu(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_legacy_none(struct task_struct *p) __ksym;
extern int *kfa_value_of(struct kfa_obj *p, struct kfa_obj *q) __ksym;
extern void kfa_legacy_trusted(struct task_struct *p) __ksym;
extern void kfa_release0(struct kfa_obj *p, struct kfa_obj *q) __ksym;
extern void kfa_release0_task(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_rcu_all(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_release1(struct kfa_obj *q, struct kfa_obj *p) __ksym;
extern void kfa_release_last(__u64 a, __u64 b, __u64 c, struct kfa_obj *q, struct kfa_obj *p) __ksym;
extern void kfa_release_beside(struct kfa_other *q, struct kfa_obj *p) __ksym;
extern struct kfa_obj *kfa_release_exchange(struct task_struct *task, struct kfa_obj *p) __ksym;
extern void kfa_release_dynptr(struct bpf_dynptr *d, struct kfa_obj *p) __ksym;
extern void kfa_release_this_dynptr(struct bpf_dynptr *d) __ksym;
extern void kfa_release_task(struct task_struct *q, struct task_struct *p) __ksym;
extern void kfa_release_tasks(struct task_struct *q, struct task_struct *p) __ksym;
extern void kfa_rcu0(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_rcu1(struct task_struct *q, struct task_struct *p) __ksym;
extern void kfa_release_rcu(struct task_struct *p, struct kfa_obj *q) __ksym;
extern void kfa_rcu_implicit(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_rdonly(const void *p, __u32 p__sz, const void *q, __u32 q__sz) __ksym;
extern void kfa_uninit_mem(void *p, __u32 p__sz) __ksym;
extern void kfa_rdonly_num(const __u64 *p) __ksym;
extern void kfa_nullable(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_nullable_suffix(struct task_struct *p, struct task_struct *q__nullable) __ksym;
extern void kfa_rcu_nullable(struct task_struct *p, struct task_struct *q) __ksym;
extern void kfa_uninit(struct bpf_dynptr *d, int *p) __ksym;
extern void kfa_uninit_dynptr(struct bpf_dynptr *d, struct bpf_dynptr *e) __ksym;
extern void kfa_str(const char *s, const char *t) __ksym;
extern void kfa_const(__u64 n, __u64 m) __ksym;
extern void kfa_size(void *p, __u32 n) __ksym;
extern void kfa_const_size(void *p, __u32 n) __ksym;
extern void kfa_ignored(void *p, struct task_struct *q) __ksym;
extern struct kfa_obj *kfa_acquire(struct kfa_obj *q, struct kfa_obj *p) __ksym;

char LICENSE[] SEC("license") = "GPL";

#endif
