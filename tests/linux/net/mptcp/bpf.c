// SPDX-License-Identifier: GPL-2.0-only
/* A set of functions that programs may change the return value of: no kfuncs. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/module.h>

int update_socket_protocol(int family, int type, int protocol);

int noinline update_socket_protocol(int family, int type, int protocol)
{
	return protocol;
}

BTF_SET8_START(bpf_mptcp_fmodret_ids)
BTF_ID_FLAGS(func, update_socket_protocol)
BTF_SET8_END(bpf_mptcp_fmodret_ids)

static const struct btf_kfunc_id_set bpf_mptcp_fmodret_set = {
	.owner = THIS_MODULE,
	.set   = &bpf_mptcp_fmodret_ids,
};

static int bpf_mptcp_kfunc_init(void)
{
	return register_btf_fmodret_id_set(&bpf_mptcp_fmodret_set);
}

late_initcall(bpf_mptcp_kfunc_init);
