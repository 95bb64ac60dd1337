/* SPDX-License-Identifier: GPL-2.0-only */
/* For the module and for the programs that call its kfuncs. */

#ifndef _BPF_TESTMOD_KFUNC_H
#define _BPF_TESTMOD_KFUNC_H

#ifdef __KERNEL__
#include <linux/bpf.h>
#include <linux/refcount.h>
#define __ksym
#endif

struct prog_test_ref_kfunc {
	int a;
};

struct bpf_testmod_ctx {
	refcount_t usage;
};

struct prog_test_ref_kfunc *bpf_kfunc_call_test_acquire(unsigned long *scalar_ptr) __ksym;
void bpf_kfunc_call_test_release(struct prog_test_ref_kfunc *p) __ksym;
void bpf_kfunc_call_test_ref(struct prog_test_ref_kfunc *p) __ksym;

struct bpf_testmod_ctx *bpf_testmod_ctx_create(int *err) __ksym;
void bpf_testmod_ctx_release(struct bpf_testmod_ctx *ctx) __ksym;

#endif
