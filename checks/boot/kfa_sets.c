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

struct kfa_set {
	const char *name;
	enum bpf_prog_type type;
	struct btf_kfunc_id_set set;
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

static int __init kfa_sets_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(kfa_sets); i++) {
		pr_info("patchbot: REGISTER %s\n", kfa_sets[i].name);
		if (kfa_sets[i].type == BPF_PROG_TYPE_UNSPEC)
			err = register_btf_fmodret_id_set(&kfa_sets[i].set);
		else
			err = register_btf_kfunc_id_set(kfa_sets[i].type, &kfa_sets[i].set);
		pr_info("patchbot: SET %s: %d\n", kfa_sets[i].name, err);
	}

	return 0;
}
module_init(kfa_sets_init);

MODULE_DESCRIPTION("good and bad kfunc sets for the check boot of patchbot");
MODULE_LICENSE("GPL");
