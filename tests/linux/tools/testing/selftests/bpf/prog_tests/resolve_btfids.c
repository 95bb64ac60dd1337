// SPDX-License-Identifier: GPL-2.0-only
/* A set in user space, as the tool that resolves ids sees it. */

#include <stdio.h>

#define CONFIG_DEBUG_INFO_BTF
#include <linux/btf_ids.h>

#define KF_FASTCALL (1 << 12)

BTF_KFUNCS_START(test_kfunc_set)
BTF_ID_FLAGS(func, kfunc_a)
BTF_ID_FLAGS(func, kfunc_b, KF_FASTCALL)
BTF_KFUNCS_END(test_kfunc_set)

int main(void)
{
	u32 i;

	for (i = 0; i < test_kfunc_set.cnt; i++)
		printf("%u %u\n", test_kfunc_set.pairs[i].id, test_kfunc_set.pairs[i].flags);
	return 0;
}
