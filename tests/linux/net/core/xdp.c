// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs of metadata of packets, whose rows a macro makes. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>
#include <net/xdp.h>

__bpf_kfunc_start_defs();

__bpf_kfunc int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, u64 *timestamp)
{
	return -EINVAL;
}

__bpf_kfunc int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, u32 *hash)
{
	return -EINVAL;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(xdp_metadata_kfunc_ids)
#define XDP_METADATA_KFUNC(_, __, name, ___) BTF_ID_FLAGS(func, name)
XDP_METADATA_KFUNC_xxx
#undef XDP_METADATA_KFUNC
BTF_KFUNCS_END(xdp_metadata_kfunc_ids)

static const struct btf_kfunc_id_set xdp_metadata_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &xdp_metadata_kfunc_ids,
};

static int xdp_metadata_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &xdp_metadata_kfunc_set);
}

late_initcall(xdp_metadata_init);
