/* SPDX-License-Identifier: GPL-2.0 */
struct btf_id_set8 {
	u32 cnt;
	u32 flags;
};
#define BTF_ID(prefix, name) \
	__BTF_ID(__ID(__BTF_ID__##prefix##__##name##__))
