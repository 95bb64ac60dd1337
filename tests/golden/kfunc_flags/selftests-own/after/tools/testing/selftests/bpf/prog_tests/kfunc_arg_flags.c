// SPDX-License-Identifier: GPL-2.0
#include <test_progs.h>

#include "kfunc_arg_flags.skel.h"

void test_kfunc_arg_flags(void)
{
	if (!env.has_testmod) {
		test__skip();
		return;
	}

	RUN_TESTS(kfunc_arg_flags);
}
