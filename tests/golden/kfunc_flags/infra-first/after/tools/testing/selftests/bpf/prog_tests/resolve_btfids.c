// SPDX-License-Identifier: GPL-2.0

#include <linux/btf_ids.h>
#include "test_progs.h"

/* The flags of a set say that it holds kfuncs: BTF_SET8_KFUNCS */
static void check_kfunc_set(struct btf_id_set8 *set)
{
	ASSERT_EQ(set->flags, BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS, "kfunc_set_flags");
	ASSERT_EQ(set->cnt, 2, "kfunc_set_cnt");
}
