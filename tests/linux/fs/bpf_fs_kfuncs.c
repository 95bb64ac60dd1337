// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs of file systems; the row of the last one is in kernel/bpf/helpers.c. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

struct file;
struct cgroup;

__bpf_kfunc_start_defs();

__bpf_kfunc struct file *bpf_get_task_exe_file(void *task)
{
	return NULL;
}

__bpf_kfunc void bpf_put_file(struct file *file)
{
}

__bpf_kfunc int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str,
				      struct bpf_dynptr *value_p)
{
	return cgroup && name__str && value_p;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_fs_kfunc_set_ids)
BTF_ID_FLAGS(func, bpf_put_file, KF_RELEASE)
BTF_KFUNCS_END(bpf_fs_kfunc_set_ids)

static const struct btf_kfunc_id_set bpf_fs_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &bpf_fs_kfunc_set_ids,
};

static int bpf_fs_kfuncs_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &bpf_fs_kfunc_set);
}

late_initcall(bpf_fs_kfuncs_init);
