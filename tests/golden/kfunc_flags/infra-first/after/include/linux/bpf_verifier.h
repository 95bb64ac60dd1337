/* SPDX-License-Identifier: GPL-2.0 */
struct bpf_call_arg_meta {
	struct btf *btf;
	u8 release_regno;
	u32 kfunc_flags;
	u16 kfunc_arg_flags[MAX_BPF_FUNC_ARGS];
	const struct btf_type *func_proto;
};
