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

#include <linux/args.h> /* for CONCATENATE, COUNT_ARGS */
#include <linux/compiler.h> /* for __PASTE */

#define BTF_IDS_SECTION ".BTF_ids"

#define __BTF_ID_FLAGS(prefix, name, flags, ...) \
	____BTF_ID_FLAGS(prefix, name, flags)
#define BTF_ID_FLAGS(prefix, name, ...) \
	__BTF_ID_FLAGS(prefix, name, ##__VA_ARGS__, 0) \
	__BTF_ID_ARG_FLAGS(prefix, name, ##__VA_ARGS__)

/*
 * The flags that follow the flags of the kfunc in BTF_ID_FLAGS are those of
 * its arguments, in order:
 *
 * BTF_ID_FLAGS(func, name1, flags, arg0_flags, arg1_flags)
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
 */
#define BTF_IDS_ARGS_SUBSECTION BTF_IDS_SECTION ",1"

#define ____BTF_ID_ARG_FLAGS(symbol, cnt, ...)		\
asm(							\
".pushsection " BTF_IDS_ARGS_SUBSECTION ",\"a\";\n"	\
".local " #symbol ";\n"					\
".type " #symbol ", STT_OBJECT;\n"			\
".size " #symbol ", 4;\n"				\
#symbol ":\n"						\
".zero 4\n"						\
".long " #cnt "\n"					\
".long " #__VA_ARGS__ "\n"				\
".popsection;\n");

#define ___BTF_ID_ARG_FLAGS(symbol, cnt, ...) \
	____BTF_ID_ARG_FLAGS(symbol, cnt, __VA_ARGS__)

/* Nothing if there are only the flags of the kfunc, or not even these */
#define __BTF_ID_ARG_FLAGS_0(...)
#define __BTF_ID_ARG_FLAGS_1(...)
#define __BTF_ID_ARG_FLAGS_2(prefix, name, flags, ...) \
	___BTF_ID_ARG_FLAGS(__ID(__BTF_ID__##prefix##__##name##__), \
			    COUNT_ARGS(__VA_ARGS__), __VA_ARGS__)
#define __BTF_ID_ARG_FLAGS_3	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_4	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_5	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_6	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_7	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_8	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_9	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_10	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_11	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_12	__BTF_ID_ARG_FLAGS_2
#define __BTF_ID_ARG_FLAGS_13	__BTF_ID_ARG_FLAGS_2

#define __BTF_ID_ARG_FLAGS(prefix, name, ...) \
	CONCATENATE(__BTF_ID_ARG_FLAGS_, COUNT_ARGS(__VA_ARGS__))(prefix, name, ##__VA_ARGS__)

/*
 * The BTF_KFUNCS_START/END macros pair defines a BTF_SET8 of kfuncs, followed
 * by the location of the flags of their arguments, a struct btf_kfunc_args_ref:
 *
 * .long args - list
 * .long args_end - args
 *
 */
#define __BTF_KFUNC_ARGS_START(name)			\
asm(							\
".pushsection " BTF_IDS_ARGS_SUBSECTION ",\"a\";\n"	\
".L__BTF_kfunc_args_" #name ":;\n"			\
".popsection;\n");

#define __BTF_KFUNC_ARGS_END(name)			\
asm(							\
".pushsection " BTF_IDS_ARGS_SUBSECTION ",\"a\";\n"	\
".L__BTF_kfunc_args_end_" #name ":;\n"			\
".popsection;\n"					\
".pushsection " BTF_IDS_SECTION ",\"a\";\n"		\
".long .L__BTF_kfunc_args_" #name " - " #name "\n"	\
".long .L__BTF_kfunc_args_end_" #name " - .L__BTF_kfunc_args_" #name "\n" \
".popsection;\n");

#define BTF_KFUNCS_START(name)				\
__BTF_SET8_START(name, local, BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS) \
__BTF_KFUNC_ARGS_START(name)

#define BTF_KFUNCS_END(name)				\
BTF_SET8_END(name)					\
__BTF_KFUNC_ARGS_END(name)

#else

#define BTF_ID_FLAGS(prefix, name, ...)
#define BTF_KFUNCS_START(name) static struct btf_id_set8 __maybe_unused name = { .flags = BTF_SET8_KFUNCS };
#define BTF_KFUNCS_END(name)

#endif /* CONFIG_DEBUG_INFO_BTF */

#endif
