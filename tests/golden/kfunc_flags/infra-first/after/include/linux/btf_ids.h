/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BTF_IDS_H
#define _LINUX_BTF_IDS_H

#include <linux/build_bug.h> /* for static_assert */
#include <linux/types.h> /* for u32 */

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

/*
 * Let the compiler see the names that BPF_KFUNC gives to the assembler, even
 * without CONFIG_DEBUG_INFO_BTF. A kfunc has at most MAX_BPF_FUNC_ARGS arguments.
 */
#define __BPF_KFUNC_CHECK(name, ...) \
	static_assert(sizeof(typeof(name) *) && sizeof((u32[]){ __VA_ARGS__ }) <= 13 * sizeof(u32))

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

/*
 * The kfuncs of a set can also be given where they are defined, in the way in
 * which symbols are exported:
 *
 * BPF_KFUNC_SET_START(list)
 *
 * void name1(struct task_struct *p) { ... }
 * BPF_KFUNC(list, name1, flags, arg0_flags);
 *
 * void name2(void) { ... }
 * BPF_KFUNC((list, list2), name2, flags);
 *
 * BPF_KFUNC_SET_END(list)
 *
 * The layout is that of BTF_KFUNCS_START/END. But there can be anything between
 * the kfuncs, and other sets, so a set has two subsections of its own: one for
 * the pairs, .L__kfunc_set_list is its number, and the next one for the flags
 * of the arguments. The assembler counts the sets, because LTO may make a
 * single input of several files, in which a __COUNTER__ is not unique. The
 * macros above use the subsections 0 and 1. The number of a subsection has to
 * begin with a digit, hence 0+ and 1+.
 */
#define __KFUNC_SET_PAIRS(list) BTF_IDS_SECTION ",0+.L__kfunc_set_" #list ",\"a\"\n"
#define __KFUNC_SET_ARGS(list) BTF_IDS_SECTION ",1+.L__kfunc_set_" #list ",\"a\"\n"

#define BPF_KFUNC_SET_START(list)			\
asm(							\
".ifndef .L__kfunc_sets\n"				\
".set .L__kfunc_sets, 0\n"				\
".endif\n"						\
".set .L__kfunc_sets, .L__kfunc_sets + 2\n"		\
".set .L__kfunc_set_" #list ", .L__kfunc_sets\n"	\
".pushsection " __KFUNC_SET_PAIRS(list)			\
".local " #list "\n"					\
".local __BTF_ID__set8__" #list "\n"			\
"__BTF_ID__set8__" #list ":\n"				\
#list ":\n"						\
".zero 4\n"						\
".long " __stringify(BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS) "\n" \
".popsection\n"						\
".pushsection " __KFUNC_SET_ARGS(list)			\
".L__kfunc_args_" #list ":\n"			\
".popsection\n");

#define BPF_KFUNC_SET_END(list)				\
asm(							\
".pushsection " __KFUNC_SET_ARGS(list)			\
".L__kfunc_args_end_" #list ":\n"			\
".popsection\n"						\
".pushsection " __KFUNC_SET_PAIRS(list)			\
".size __BTF_ID__set8__" #list ", . - " #list "\n"	\
".long .L__kfunc_args_" #list " - " #list "\n"	\
".long .L__kfunc_args_end_" #list " - .L__kfunc_args_" #list "\n" \
".popsection\n"						\
".set .L__kfunc_set_" #list ", 0\n");			\
extern struct btf_id_set8 list;

#define ____BPF_KFUNC(list, id, args_id, flags, cnt, ...) \
asm(							\
".ifndef .L__kfunc_set_" #list "\n"			\
".error \"BPF_KFUNC before BPF_KFUNC_SET_START(" #list ")\"\n" \
".elseif .L__kfunc_set_" #list " == 0\n"		\
".error \"BPF_KFUNC after BPF_KFUNC_SET_END(" #list ")\"\n" \
".else\n"						\
".pushsection " __KFUNC_SET_PAIRS(list)			\
".local " #id "\n"					\
".type " #id ", STT_OBJECT\n"				\
".size " #id ", 4\n"					\
#id ":\n"						\
".zero 4\n"						\
".long " #flags "\n"					\
".popsection\n"						\
".if " #cnt "\n"					\
".pushsection " __KFUNC_SET_ARGS(list)			\
".local " #args_id "\n"					\
".type " #args_id ", STT_OBJECT\n"			\
".size " #args_id ", 4\n"				\
#args_id ":\n"						\
".zero 4\n"						\
".long " #cnt "\n"					\
".long " #__VA_ARGS__ "\n"				\
".popsection\n"						\
".endif\n"						\
".endif\n");

#define ___BPF_KFUNC(list, id, args_id, flags, cnt, ...) \
	____BPF_KFUNC(list, id, args_id, flags, cnt, __VA_ARGS__)
#define __BPF_KFUNC(list, name, flags, ...) \
	___BPF_KFUNC(list, __ID(__BTF_ID__func__##name##__), __ID(__BTF_ID__func__##name##__), \
		     flags, COUNT_ARGS(__VA_ARGS__), __VA_ARGS__)

/* Take (list, list2) out of its brackets, and leave a single list as it is */
#define __BPF_KFUNC_BARE(...) __BPF_KFUNC_BARE __VA_ARGS__
#define __BPF_KFUNC_NO__BPF_KFUNC_BARE
#define ___BPF_KFUNC_NO(...) __BPF_KFUNC_NO##__VA_ARGS__
#define __BPF_KFUNC_NO(...) ___BPF_KFUNC_NO(__VA_ARGS__)

/* The same row in up to 4 sets */
#define __BPF_KFUNC_ROW(...) __BPF_KFUNC(__VA_ARGS__)
#define __BPF_KFUNC_1(row, list) __BPF_KFUNC_ROW(list, __BPF_KFUNC_NO(__BPF_KFUNC_BARE row))
#define __BPF_KFUNC_2(row, list, ...) __BPF_KFUNC_1(row, list) __BPF_KFUNC_1(row, __VA_ARGS__)
#define __BPF_KFUNC_3(row, list, ...) __BPF_KFUNC_1(row, list) __BPF_KFUNC_2(row, __VA_ARGS__)
#define __BPF_KFUNC_4(row, list, ...) __BPF_KFUNC_1(row, list) __BPF_KFUNC_3(row, __VA_ARGS__)
#define __BPF_KFUNC_EACH(row, ...) \
	CONCATENATE(__BPF_KFUNC_, COUNT_ARGS(__VA_ARGS__))(row, __VA_ARGS__)

#define BPF_KFUNC(lists, name, flags, ...) \
	__BPF_KFUNC_EACH((name, flags, ##__VA_ARGS__), __BPF_KFUNC_NO(__BPF_KFUNC_BARE lists)) \
	__BPF_KFUNC_CHECK(name, flags, ##__VA_ARGS__)

#else

#define BTF_ID_FLAGS(prefix, name, ...)
#define BTF_KFUNC(name, flags, arg0_flags, ...)
#define BTF_KFUNCS_START(name) static struct btf_id_set8 __maybe_unused name = { .flags = BTF_SET8_KFUNCS };
#define BTF_KFUNCS_END(name)
#define BPF_KFUNC_SET_START(list)
#define BPF_KFUNC_SET_END(list) \
	static struct btf_id_set8 __maybe_unused list = { .flags = BTF_SET8_KFUNCS };
#define BPF_KFUNC(lists, name, ...) __BPF_KFUNC_CHECK(name, __VA_ARGS__)

#endif /* CONFIG_DEBUG_INFO_BTF */

#endif
