// SPDX-License-Identifier: GPL-2.0-only
/* Iterators whose rows are in the set of another file. */

#include <linux/bpf.h>
#include <linux/btf.h>

struct task_struct;
struct vm_area_struct;

struct bpf_iter_task_vma {
	__u64 opaque[1];
};

__bpf_kfunc_start_defs();

__bpf_kfunc int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it,
				      struct task_struct *task, u64 addr)
{
	it->opaque[0] = task ? addr : 0;
	return 0;
}

__bpf_kfunc struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it)
{
	return NULL;
}

__bpf_kfunc void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it)
{
}

__bpf_kfunc_end_defs();
