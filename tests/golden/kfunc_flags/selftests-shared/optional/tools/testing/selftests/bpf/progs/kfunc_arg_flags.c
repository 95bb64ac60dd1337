// SPDX-License-Identifier: GPL-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "bpf_misc.h"
#include "../test_kmods/bpf_testmod_kfunc.h"

char _license[] SEC("license") = "GPL";

struct bpf_cpumask *bpf_cpumask_create(void) __ksym __weak;
void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym __weak;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak;
void bpf_task_release(struct task_struct *p) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ringbuf SEC(".maps");

/* KFA_RELEASE: the argument that has the flag is released */

SEC("syscall")
__success __retval(0)
int release_second(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_kfunc_arg_release_test(1, ctx);
	return 0;
}

SEC("syscall")
__failure __msg("expects referenced PTR_TO_BTF_ID passed to R2")
int release_second_twice(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_kfunc_arg_release_test(1, ctx);
	bpf_kfunc_arg_release_test(1, ctx);
	return 0;
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed to trusted R2")
int release_second_maybe_null(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	bpf_kfunc_arg_release_test(1, ctx);
	return 0;
}

/* Another argument of the same type is not released */

SEC("syscall")
__success __retval(1)
int release_second_keep_first(void *unused)
{
	struct bpf_testmod_ctx *kept, *ctx;
	int usage = 0, err = 0;

	kept = bpf_testmod_ctx_create(&err);
	if (!kept)
		return 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (ctx)
		usage = bpf_kfunc_arg_release_second_test(kept, ctx);

	bpf_testmod_ctx_release(kept);
	return usage;
}

SEC("syscall")
__failure __msg("Unreleased reference")
int release_second_leak_first(void *unused)
{
	struct bpf_testmod_ctx *kept, *ctx;
	int err = 0;

	kept = bpf_testmod_ctx_create(&err);
	if (!kept)
		return 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx) {
		bpf_testmod_ctx_release(kept);
		return 0;
	}

	return bpf_kfunc_arg_release_second_test(kept, ctx);
}

SEC("syscall")
__failure __msg("expects referenced PTR_TO_BTF_ID passed to R1")
int release_second_then_second(void *unused)
{
	struct bpf_testmod_ctx *kept, *ctx;
	int usage = 0, err = 0;

	kept = bpf_testmod_ctx_create(&err);
	if (!kept)
		return 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx) {
		bpf_testmod_ctx_release(kept);
		return 0;
	}

	usage = bpf_kfunc_arg_release_second_test(kept, ctx);
	bpf_testmod_ctx_release(ctx);
	return usage;
}

/* The object that is released must not be in another argument, too */

SEC("syscall")
__failure __msg("releases R2, which R1 refers to")
int release_second_alias(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return 0;

	return bpf_kfunc_arg_release_second_test(ctx, ctx);
}

/* Only the argument that is released must be referenced */

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(release_acquired_task, struct task_struct *task, u64 clone_flags)
{
	struct task_struct *acquired;

	acquired = bpf_task_acquire(task);
	if (!acquired)
		return 0;

	bpf_kfunc_arg_release_task_test(task, acquired);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure
__msg("release kfunc bpf_kfunc_arg_release_task_test expects referenced PTR_TO_BTF_ID passed to R2")
int BPF_PROG(release_trusted_task, struct task_struct *task, u64 clone_flags)
{
	struct task_struct *acquired;

	acquired = bpf_task_acquire(task);
	if (!acquired)
		return 0;

	bpf_kfunc_arg_release_task_test(acquired, task);
	bpf_task_release(acquired);
	return 0;
}

/* A dynptr in another argument is not released, nor does it get in the way */

SEC("syscall")
__success __retval(0)
int release_keep_dynptr(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	struct bpf_dynptr ptr;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &ptr);
	bpf_kfunc_arg_release_dynptr_test(&ptr, ctx);
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	return 0;
}

SEC("syscall")
__failure __msg("Unreleased reference")
int release_leak_dynptr(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	struct bpf_dynptr ptr;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &ptr);
	bpf_kfunc_arg_release_dynptr_test(&ptr, ctx);
	return 0;
}

/* Only the type of the argument that is released is matched strictly */

SEC("syscall")
__success __retval(0)
int release_keep_compatible(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	struct bpf_cpumask *mask;
	int err = 0;

	mask = bpf_cpumask_create();
	if (!mask)
		return -1;

	ctx = bpf_testmod_ctx_create(&err);
	if (ctx)
		bpf_kfunc_arg_release_ctx_test((const struct cpumask *)mask, ctx);

	bpf_cpumask_release(mask);
	return 0;
}

SEC("syscall")
__failure
__msg("expected pointer to STRUCT cpumask but R2 has a pointer to STRUCT bpf_cpumask")
int release_compatible(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	struct bpf_cpumask *mask;
	int err = 0;

	mask = bpf_cpumask_create();
	if (!mask)
		return -1;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx) {
		bpf_cpumask_release(mask);
		return -1;
	}

	bpf_kfunc_arg_release_mask_test(ctx, (const struct cpumask *)mask);
	bpf_testmod_ctx_release(ctx);
	return 0;
}

/* Implicit arguments do not change the number of the others */

SEC("syscall")
__success __retval(0)
int release_implicit(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	return bpf_kfunc_arg_release_implicit_test(1, ctx);
}

SEC("syscall")
__failure __msg("expects referenced PTR_TO_BTF_ID passed to R2")
int release_implicit_twice(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_kfunc_arg_release_implicit_test(1, ctx);
	return bpf_kfunc_arg_release_implicit_test(1, ctx);
}

/*
 * KFA_RCU: the argument that has the flag may be an RCU pointer, which
 * task->real_parent is. task->parent is an untrusted pointer.
 */

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(rcu_first, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_first_test(task->real_parent, task);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R2 must be referenced or trusted")
int BPF_PROG(rcu_first_and_second, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_first_test(task->real_parent, task->real_parent);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R1 must be a rcu pointer")
int BPF_PROG(rcu_first_untrusted, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_first_test(task->parent, task);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("Possibly NULL pointer passed to trusted R1")
int BPF_PROG(rcu_first_null, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_first_test(NULL, task);
	return 0;
}

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(rcu_second, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_second_test(task, task->real_parent);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R1 must be referenced or trusted")
int BPF_PROG(rcu_second_and_first, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_second_test(task->real_parent, task->real_parent);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R2 must be a rcu pointer")
int BPF_PROG(rcu_second_untrusted, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_second_test(task, task->parent);
	return 0;
}

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(rcu_trusted, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_first_test(task, task);
	bpf_kfunc_arg_rcu_second_test(task, task);
	return 0;
}

/* KFA_NULLABLE: the argument that has the flag may be NULL */

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(nullable_second, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_nullable_test(task, NULL);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("Possibly NULL pointer passed to trusted R1")
int BPF_PROG(nullable_first, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_nullable_test(NULL, task);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R2 must be referenced or trusted")
int BPF_PROG(nullable_untrusted, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_nullable_test(task, task->parent);
	return 0;
}

/* KFA_RCU | KFA_NULLABLE: the argument may be NULL, too */

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(rcu_nullable, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_nullable_test(NULL);
	bpf_kfunc_arg_rcu_nullable_test(task->real_parent);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R1 must be a rcu pointer")
int BPF_PROG(rcu_nullable_untrusted, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_rcu_nullable_test(task->parent);
	return 0;
}

/* KFA_UNINIT: a dynptr that is initialized can't be initialized once more */

SEC("syscall")
__success __retval(0)
int uninit_null(void *unused)
{
	struct bpf_dynptr first, second;

	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &first);
	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &second);
	bpf_kfunc_arg_uninit_test(&first, NULL);
	bpf_ringbuf_discard_dynptr(&first, 0);
	bpf_ringbuf_discard_dynptr(&second, 0);
	return 0;
}

SEC("syscall")
__failure __msg("cannot overwrite referenced dynptr")
int uninit_initialized(void *unused)
{
	struct bpf_dynptr first, second;

	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &first);
	bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &second);
	bpf_kfunc_arg_uninit_test(&first, &second);
	bpf_ringbuf_discard_dynptr(&first, 0);
	bpf_ringbuf_discard_dynptr(&second, 0);
	return 0;
}

/* KFA_STR: the argument that has the flag is a string in a read-only map */

static const char string[] = "string";

SEC("syscall")
__success __retval(0)
int str_second(void *unused)
{
	char mem[8] = "string";

	bpf_kfunc_arg_str_test(mem, string);
	return 0;
}

SEC("syscall")
__failure __msg("doesn't point to a const string")
int str_on_stack(void *unused)
{
	char mem[8] = "string";

	bpf_kfunc_arg_str_test(mem, mem);
	return 0;
}

/* KFA_CONST: the argument that has the flag is a known number */

SEC("syscall")
__success __retval(0)
int const_second(void *unused)
{
	bpf_kfunc_arg_const_test(bpf_get_prandom_u32(), 1);
	return 0;
}

SEC("syscall")
__failure __msg("R2 must be a known constant")
int const_first(void *unused)
{
	bpf_kfunc_arg_const_test(1, bpf_get_prandom_u32());
	return 0;
}

/* KFA_SZ: the argument that has the flag is the size of the one before it */

SEC("syscall")
__success __retval(0)
int size_of_memory(void *unused)
{
	char mem[8] = {};

	bpf_kfunc_arg_sz_test(mem, 8);
	bpf_kfunc_arg_sz_test(mem, bpf_get_prandom_u32() & 7);
	return 0;
}

SEC("syscall")
__failure __msg("memory, len pair leads to invalid memory access")
int size_beyond_memory(void *unused)
{
	char mem[8] = {};

	bpf_kfunc_arg_sz_test(mem, 9);
	return 0;
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed to trusted R1")
int size_of_null(void *unused)
{
	bpf_kfunc_arg_sz_test(NULL, 8);
	return 0;
}

/* KFA_CONST_SZ: the size is a known number, too. KFA_NULLABLE is on the memory */

SEC("syscall")
__success __retval(0)
int const_size_of_memory(void *unused)
{
	char mem[8] = {};

	bpf_kfunc_arg_const_sz_test(mem, 8);
	bpf_kfunc_arg_const_sz_test(NULL, 8);
	return 0;
}

SEC("syscall")
__failure __msg("memory, len pair leads to invalid memory access")
int const_size_beyond_memory(void *unused)
{
	char mem[8] = {};

	bpf_kfunc_arg_const_sz_test(mem, 9);
	return 0;
}

SEC("syscall")
__failure __msg("R2 must be a known constant")
int const_size_unknown(void *unused)
{
	char mem[8] = {};

	bpf_kfunc_arg_const_sz_test(mem, bpf_get_prandom_u32() & 7);
	return 0;
}

/* KFA_IGN: the argument that has the flag may be anything */

SEC("tp_btf/task_newtask")
__success
int BPF_PROG(ignored_first, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_ign_test(task->parent, task);
	bpf_kfunc_arg_ign_test((struct task_struct *)1, task);
	return 0;
}

SEC("tp_btf/task_newtask")
__failure __msg("R2 must be referenced or trusted")
int BPF_PROG(ignored_second, struct task_struct *task, u64 clone_flags)
{
	bpf_kfunc_arg_ign_test(task, task->parent);
	return 0;
}

/* KFA_ACQUIRE: a reference on the argument that has the flag is returned */

SEC("syscall")
__success __retval(0)
int acquire_second(void *unused)
{
	struct bpf_testmod_ctx *ctx, *acquired;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	acquired = bpf_kfunc_arg_acquire_test(1, ctx);
	bpf_testmod_ctx_release(acquired);
	bpf_testmod_ctx_release(ctx);
	return 0;
}

SEC("syscall")
__failure __msg("Unreleased reference")
int acquire_second_leak(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	bpf_kfunc_arg_acquire_test(1, ctx);
	bpf_testmod_ctx_release(ctx);
	return 0;
}

SEC("syscall")
__failure __msg("expects referenced PTR_TO_BTF_ID passed to R1")
int acquire_second_release_twice(void *unused)
{
	struct bpf_testmod_ctx *ctx, *acquired;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	acquired = bpf_kfunc_arg_acquire_test(1, ctx);
	bpf_testmod_ctx_release(acquired);
	bpf_testmod_ctx_release(acquired);
	bpf_testmod_ctx_release(ctx);
	return 0;
}

/* The argument is not released */

SEC("syscall")
__failure __msg("Unreleased reference")
int acquire_second_leak_argument(void *unused)
{
	struct bpf_testmod_ctx *ctx, *acquired;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	if (!ctx)
		return -1;

	acquired = bpf_kfunc_arg_acquire_test(1, ctx);
	bpf_testmod_ctx_release(acquired);
	return 0;
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed to trusted R2")
int acquire_second_maybe_null(void *unused)
{
	struct bpf_testmod_ctx *ctx, *acquired;
	int err = 0;

	ctx = bpf_testmod_ctx_create(&err);
	acquired = bpf_kfunc_arg_acquire_test(1, ctx);
	bpf_testmod_ctx_release(acquired);
	if (ctx)
		bpf_testmod_ctx_release(ctx);
	return 0;
}

/* The type of the argument may begin with the wanted one, as for KF_ACQUIRE */

SEC("syscall")
__failure __msg("Unreleased reference")
int acquire_compatible(void *unused)
{
	struct bpf_testmod_ctx *ctx;
	struct bpf_cpumask *mask;
	int err = 0;

	mask = bpf_cpumask_create();
	if (!mask)
		return -1;

	ctx = bpf_testmod_ctx_create(&err);
	if (ctx) {
		bpf_kfunc_arg_acquire_mask_test(ctx, (const struct cpumask *)mask);
		bpf_testmod_ctx_release(ctx);
	}

	bpf_cpumask_release(mask);
	return 0;
}
