/* SPDX-License-Identifier: GPL-2.0 */
struct bpf_call_arg_meta {
	struct btf *btf;
	u8 release_regno;
	u32 kfunc_flags;
	const u32 *kfunc_arg_flags;
	const struct btf_type *func_proto;
};
