// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kfunc sets of programs.toml, registered one after the other. Most of them
 * are wrong and must be refused, and none of these may leave anything behind.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

struct kfa_set {
	const char *name;
	enum bpf_prog_type type;
	struct btf_id_set8 *set;
};

/* A record that no macro would make: the first word is its count */
#define __RECORD(symbol, ...)				\
asm(							\
".pushsection .BTF_ids,1,\"a\";\n"			\
".local " #symbol ";\n"					\
".type " #symbol ", STT_OBJECT;\n"			\
".size " #symbol ", 4;\n"				\
#symbol ":\n"						\
".zero 4\n"						\
".long " #__VA_ARGS__ "\n"				\
".popsection;\n");
#define RECORD(kfunc, number, ...)	__RECORD(__BTF_ID__func__##kfunc##__##number, __VA_ARGS__)

#include "kfa_sets.h"

/*
 * resolve_btfids may check what the kernel checks, and would let the build of
 * this module fail. So sets that must be refused are not yet sets of kfuncs.
 */
static struct btf_id_set8 *set_of_kfuncs(struct btf_id_set8 *set)
{
	/* What follows the pairs: where the records are, which are the last */
	const u32 *ref = (const u32 *)&set->pairs[set->cnt];
	struct btf_id_set8 *copy;

	if (set->flags & (1 << 0))
		return set;

	copy = kmemdup(set, ref[0] + ref[1], GFP_KERNEL);
	if (copy)
		copy->flags |= 1 << 0;

	return copy;
}

static int __init kfa_sets_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(kfa_sets); i++) {
		struct btf_kfunc_id_set kset = {
			.owner = THIS_MODULE,
			.set = set_of_kfuncs(kfa_sets[i].set),
		};

		if (!kset.set)
			return -ENOMEM;

		pr_info("patchbot: REGISTER %s\n", kfa_sets[i].name);
		if (kfa_sets[i].type == BPF_PROG_TYPE_UNSPEC)
			err = register_btf_fmodret_id_set(&kset);
		else
			err = register_btf_kfunc_id_set(kfa_sets[i].type, &kset);
		pr_info("patchbot: SET %s: %d\n", kfa_sets[i].name, err);
		if (kset.set != kfa_sets[i].set)
			kfree(kset.set);
	}

	return 0;
}
module_init(kfa_sets_init);

MODULE_DESCRIPTION("good and bad kfunc sets for the check boot of patchbot");
MODULE_LICENSE("GPL");
