// SPDX-License-Identifier: GPL-2.0-only
/* Kfuncs of packet schedulers. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

struct sk_buff {
	struct sk_buff *next;
};

struct bpf_sk_buff_ptr {
	struct sk_buff *skb;
};

__bpf_kfunc_start_defs();

__bpf_kfunc u32 bpf_skb_get_hash(struct sk_buff *skb)
{
	return !!skb->next;
}

__bpf_kfunc void bpf_kfree_skb(struct sk_buff *skb)
{
}

__bpf_kfunc void bpf_qdisc_skb_drop(struct sk_buff *skb,
				    struct bpf_sk_buff_ptr *to_free_list)
{
	skb->next = to_free_list->skb;
	to_free_list->skb = skb;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(qdisc_kfunc_ids)
BTF_ID_FLAGS(func, bpf_skb_get_hash)
BTF_ID_FLAGS(func, bpf_kfree_skb, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_qdisc_skb_drop, KF_RELEASE)
BTF_KFUNCS_END(qdisc_kfunc_ids)

static const struct btf_kfunc_id_set bpf_qdisc_kfunc_set = {
	.owner = THIS_MODULE,
	.set   = &qdisc_kfunc_ids,
};

static int bpf_qdisc_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &bpf_qdisc_kfunc_set);
}

late_initcall(bpf_qdisc_kfunc_init);
