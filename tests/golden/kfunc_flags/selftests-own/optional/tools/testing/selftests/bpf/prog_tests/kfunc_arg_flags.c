// SPDX-License-Identifier: GPL-2.0
#include <bpf/btf.h>
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

static const struct arg_tag {
	const char *kfunc;
	int arg;
	const char *tag;
} arg_tags[] = {
	{ "bpf_kfunc_arg_release_test", 1, "arg:release" },
	{ "bpf_kfunc_arg_release_second_test", 1, "arg:release" },
	{ "bpf_kfunc_arg_rcu_first_test", 0, "arg:rcu" },
	{ "bpf_kfunc_arg_rcu_second_test", 1, "arg:rcu" },
	{ "bpf_kfunc_arg_nullable_test", 1, "arg:nullable" },
	{ "bpf_kfunc_arg_rcu_nullable_test", 0, "arg:rcu" },
	{ "bpf_kfunc_arg_rcu_nullable_test", 0, "arg:nullable" },
	{ "bpf_kfunc_arg_uninit_test", 1, "arg:uninit" },
	{ "bpf_kfunc_arg_uninit_test", 1, "arg:nullable" },
	{ "bpf_kfunc_arg_str_test", 1, "arg:str" },
	{ "bpf_kfunc_arg_const_test", 1, "arg:const" },
	{ "bpf_kfunc_arg_sz_test", 1, "arg:sz" },
	{ "bpf_kfunc_arg_const_sz_test", 0, "arg:nullable" },
	{ "bpf_kfunc_arg_const_sz_test", 1, "arg:const_sz" },
	{ "bpf_kfunc_arg_ign_test", 0, "arg:ign" },
	{ "bpf_kfunc_arg_acquire_test", 1, "arg:acquire" },
};

/* Return how many tags the arguments of a kfunc should have */
static int expected_arg_tags(const char *kfunc)
{
	int i, cnt = 0;

	for (i = 0; i < ARRAY_SIZE(arg_tags); i++)
		cnt += !strcmp(arg_tags[i].kfunc, kfunc);

	return cnt;
}

/* Return how many tags the arguments of a kfunc have: of all tags, or of the wanted one */
static int count_arg_tags(const struct btf *btf, const char *kfunc, const struct arg_tag *want)
{
	int func_id, id, cnt = 0;

	func_id = btf__find_by_name_kind(btf, kfunc, BTF_KIND_FUNC);
	if (!ASSERT_GT(func_id, 0, kfunc))
		return -ENOENT;

	for (id = btf__type_cnt(btf__base_btf(btf)); id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *tag;

		if (!btf_is_decl_tag(t) || t->type != func_id)
			continue;

		tag = btf__name_by_offset(btf, t->name_off);
		if (!want)
			cnt += !strncmp(tag, "arg:", 4);
		else if (btf_decl_tag(t)->component_idx == want->arg)
			cnt += !strcmp(tag, want->tag);
	}

	return cnt;
}

/* The BTF of the module shows which arguments have which flags, and no other tags */
void test_kfunc_arg_flags_decl_tags(void)
{
	struct btf *vmlinux_btf, *btf;
	int i;

	if (!env.has_testmod) {
		test__skip();
		return;
	}

	vmlinux_btf = btf__load_vmlinux_btf();
	if (!ASSERT_OK_PTR(vmlinux_btf, "load BTF of vmlinux"))
		return;

	btf = btf__load_module_btf("bpf_testmod", vmlinux_btf);
	if (!ASSERT_OK_PTR(btf, "load BTF of bpf_testmod"))
		goto out;

	for (i = 0; i < ARRAY_SIZE(arg_tags); i++) {
		const char *kfunc = arg_tags[i].kfunc;

		ASSERT_EQ(count_arg_tags(btf, kfunc, &arg_tags[i]), 1, arg_tags[i].tag);
		ASSERT_EQ(count_arg_tags(btf, kfunc, NULL), expected_arg_tags(kfunc), kfunc);
	}

	/* KF_RELEASE is a flag of the whole kfunc */
	ASSERT_EQ(count_arg_tags(btf, "bpf_testmod_ctx_release", NULL), 0, "KF_RELEASE");

	btf__free(btf);
out:
	btf__free(vmlinux_btf);
}
