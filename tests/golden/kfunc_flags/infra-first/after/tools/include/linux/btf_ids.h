/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BTF_IDS_H
#define _LINUX_BTF_IDS_H

/* This flag implies BTF_SET8 holds kfunc(s) */
#define BTF_SET8_KFUNCS		(1 << 0)
/* This flag implies BTF_SET8 is followed by struct btf_kfunc_args_ref */
#define BTF_SET8_KFUNC_ARGS	(1 << 1)

struct btf_id_set8 {
	u32 cnt;
	u32 flags;
	struct {
		u32 id;
		u32 flags;
	} pairs[];
};

/*
 * KFA_* flags of the arguments of a kfunc: flags[n] are those of argument n.
 * The last flags of a record are those of the last argument that has any, and
 * a kfunc without argument flags has no record at all.
 */
struct btf_kfunc_args {
	u32 id;
	u32 cnt;
	u32 flags[];
};

/* Where the struct btf_kfunc_args of the kfuncs of a BTF_SET8 are */
struct btf_kfunc_args_ref {
	s32 off;	/* from the start of the BTF_SET8 */
	u32 size;	/* in bytes */
};

#ifdef CONFIG_DEBUG_INFO_BTF

#include <linux/args.h> /* for COUNT_ARGS */
#include <linux/compiler.h> /* for __PASTE */

#define BTF_IDS_SECTION ".BTF_ids"

#define __BTF_ID_FLAGS(prefix, name, flags, ...) \
	____BTF_ID_FLAGS(prefix, name, flags)
#define BTF_ID_FLAGS(prefix, name, ...) \
	__BTF_ID_FLAGS(prefix, name, ##__VA_ARGS__, 0)

/*
 * The BTF_KFUNCS_START/END macros pair defines a BTF_SET8 of kfuncs, followed
 * by the location of the flags of their arguments, a struct btf_kfunc_args_ref:
 *
 * .long args - list
 * .long args_end - args
 *
 */
#define BTF_KFUNC_ARGS_SUBSECTION BTF_IDS_SECTION ",1"

#define __BTF_KFUNC_ARGS_START(name)			\
asm(							\
".set .L__BTF_kfuncs, 1\n"				\
".pushsection " BTF_KFUNC_ARGS_SUBSECTION ",\"a\";\n"	\
".L__BTF_kfunc_args_" #name ":;\n"			\
".popsection;\n");

#define __BTF_KFUNC_ARGS_END(name)			\
asm(							\
".set .L__BTF_kfuncs, 0\n"				\
".pushsection " BTF_KFUNC_ARGS_SUBSECTION ",\"a\";\n"	\
".L__BTF_kfunc_args_end_" #name ":;\n"			\
".popsection;\n"					\
".pushsection " BTF_IDS_SECTION ",\"a\";\n"		\
".long .L__BTF_kfunc_args_" #name " - " #name "\n"	\
".long .L__BTF_kfunc_args_end_" #name " - .L__BTF_kfunc_args_" #name "\n" \
".popsection;\n");

/*
 * BTF_KFUNC is BTF_ID_FLAGS for a kfunc with flags of single arguments, which
 * follow the flags of the kfunc in order:
 *
 * BTF_KFUNC(name1, flags, arg0_flags, arg1_flags)
 *
 * They can't be stored next to the flags of the kfunc, because the pairs of
 * a BTF_SET8 have a fixed size. Put them in a record in another subsection,
 * i.e. after all the sets of the object file:
 *
 * __BTF_ID__func__name1__4:
 * .zero 4
 * .long 2
 * .long arg0_flags, arg1_flags
 *
 * Only BTF_KFUNCS_START/END say where the records of a set are.
 */
#define ____BTF_KFUNC_ARGS(symbol, cnt, ...)		\
asm(							\
".if .L__BTF_kfuncs != 1\n"				\
".error \"BTF_KFUNC is only for BTF_KFUNCS_START\"\n"	\
".endif\n"						\
".if " #cnt " > 12\n"					\
".error \"more flags than a kfunc has arguments\"\n"	\
".endif\n"						\
".pushsection " BTF_KFUNC_ARGS_SUBSECTION ",\"a\";\n"	\
".local " #symbol ";\n"					\
".type " #symbol ", STT_OBJECT;\n"			\
".size " #symbol ", 4;\n"				\
#symbol ":\n"						\
".zero 4\n"						\
".long " #cnt "\n"					\
".long " #__VA_ARGS__ "\n"				\
".popsection;\n");

#define ___BTF_KFUNC_ARGS(symbol, cnt, ...) \
	____BTF_KFUNC_ARGS(symbol, cnt, __VA_ARGS__)

#define __BTF_KFUNC_ARGS(name, ...) \
	___BTF_KFUNC_ARGS(__ID(__BTF_ID__func__##name##__), COUNT_ARGS(__VA_ARGS__), __VA_ARGS__)

#define BTF_KFUNC(name, flags, arg0_flags, ...) \
	BTF_ID_FLAGS(func, name, flags) \
	__BTF_KFUNC_ARGS(name, arg0_flags, ##__VA_ARGS__)

#define BTF_KFUNCS_START(name)				\
__BTF_SET8_START(name, local, BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS) \
__BTF_KFUNC_ARGS_START(name)

#define BTF_KFUNCS_END(name)				\
BTF_SET8_END(name)					\
__BTF_KFUNC_ARGS_END(name)

#else

#define BTF_ID_FLAGS(prefix, name, ...)
#define BTF_KFUNC(name, flags, arg0_flags, ...)
#define BTF_KFUNCS_START(name) static struct btf_id_set8 __maybe_unused name = { .flags = BTF_SET8_KFUNCS };
#define BTF_KFUNCS_END(name)

#endif /* CONFIG_DEBUG_INFO_BTF */

#endif
