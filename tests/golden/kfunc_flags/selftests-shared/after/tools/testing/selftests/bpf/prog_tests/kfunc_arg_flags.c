// SPDX-License-Identifier: GPL-2.0
#include <test_progs.h>
#include <testing_helpers.h>

#include "kfunc_arg_flags.skel.h"

void test_kfunc_arg_flags(void)
{
	if (!env.has_testmod) {
		test__skip();
		return;
	}

	RUN_TESTS(kfunc_arg_flags);
}

/* The module refuses to load unless the kernel refuses each of its bad sets */
void test_kfunc_arg_flags_invalid(void)
{
	int err;

	err = load_module("bpf_test_kfa_invalid.ko", env_verbosity > VERBOSE_NONE);
	if (!ASSERT_OK(err, "load bpf_test_kfa_invalid.ko"))
		return;

	unload_module("bpf_test_kfa_invalid", env_verbosity > VERBOSE_NONE);
}
