// SPDX-License-Identifier: GPL-2.0
/*
 * Run what kfunc_flags adds to kernel/bpf/btf.c in user space: GENERATED holds
 * those functions as they come out of the steps, the rest stands in for the
 * kernel. Prints the name of each case and what it returned.
 */
#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;

#define KF_ACQUIRE		(1 << 0)
#define KF_RELEASE		(1 << 1)
#define KF_RCU			(1 << 7)
#define MAX_BPF_FUNC_ARGS	12
#define MAX_BPF_FUNC_REG_ARGS	5
#define GFP_KERNEL		0
#define __GFP_NOWARN		0
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(c)		_Static_assert(!(c), #c)
#define struct_size(p, m, n)	(sizeof(*(p)) + (n) * sizeof((p)->m[0]))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define krealloc(p, n, f)	realloc(p, n)
#define kfree(p)		free(p)
#define sort(b, n, s, c, w)	qsort(b, n, s, c)
#define pr_err(format, ...)	snprintf(said, sizeof(said), format, ##__VA_ARGS__)

/* What the last refusal said */
static char said[256];

enum btf_kfunc_hook { BTF_KFUNC_HOOK_COMMON, BTF_KFUNC_HOOK_TC, BTF_KFUNC_HOOK_FMODRET, BTF_KFUNC_HOOK_MAX };
struct btf_kfunc_hook_filter { int unused; };
struct bpf_prog;

struct btf_id_set8 {
	u32 cnt;
	u32 flags;
	struct {
		u32 id;
		u32 flags;
	} pairs[];
};

struct btf_param { u32 type; u32 name_off; };
struct btf_array { u32 type; u32 nelems; };
struct btf_type {
	u32 info;
	u32 type;
	u32 name_off;
	u32 vlen;
	struct btf_param params[MAX_BPF_FUNC_ARGS];
	struct btf_array array;
};
#define btf_member btf_param
struct btf { const char *name; struct btf_kfunc_set_tab *kfunc_set_tab; };
static struct btf btf_of_vmlinux;
static struct btf *btf_vmlinux = &btf_of_vmlinux;

/* Names, by their offset */
enum { NONE, DYNPTR_NAME, CTX_NAME, CHAR_NAME, N_SZ, N_IGN, N_K, N_STR, N_UNINIT, N_ALLOC };
static const char * const names[] = {
	"", "bpf_dynptr", "__sk_buff", "char", "n__sz", "n__ign", "n__k", "n__str", "n__uninit", "n__alloc"
};

/* A function that does not return a pointer is its own prototype */
enum { STRUCT = 1, INT, PTR, SCALARS, POINTERS, MIXED, OTHER, ALSO, STRUCTS, STRUCT2, PTR2, PTR_INT, SAME, PROTO,
       SAME_INT, PROTO_INT, VOID, CONST_VOID, PTR_CONST, READS, DYNPTR, PTR_DYNPTR, CTX, PTR_CTX, CHAR, PTR_CHAR,
       PTR_VOID, ARRAY, NESTED, PTR_NESTED, CONVERT, KINDS, NAMED, SIZES };

#define BTF_KIND_INT	1
#define BTF_KIND_PTR	2
#define BTF_KIND_ARRAY	3
#define BTF_KIND_STRUCT	4
#define BTF_KIND_CONST	10

#define POINTER(to) { .info = BTF_KIND_PTR, .type = to }

static const struct btf_type types[] = {
	[STRUCT] = { .info = BTF_KIND_STRUCT, .vlen = 1, .params = { { INT } } },
	/* An object: no program has such memory */
	[STRUCT2] = { .info = BTF_KIND_STRUCT, .vlen = 2, .params = { { INT }, { PTR } } },
	[INT] = { .info = BTF_KIND_INT },
	[CHAR] = { .info = BTF_KIND_INT, .name_off = CHAR_NAME },
	[DYNPTR] = { .info = BTF_KIND_STRUCT, .name_off = DYNPTR_NAME, .vlen = 1, .params = { { INT } } },
	[CTX] = { .info = BTF_KIND_STRUCT, .name_off = CTX_NAME, .vlen = 1, .params = { { INT } } },
	[ARRAY] = { .info = BTF_KIND_ARRAY, .array = { INT, 4 } },
	[NESTED] = { .info = BTF_KIND_STRUCT, .vlen = 2, .params = { { STRUCT }, { ARRAY } } },
	[CONVERT] = { .info = BTF_KIND_STRUCT, .vlen = 4, .params = { { CTX }, { STRUCT2 }, { PTR_VOID }, { PTR_VOID } } },
	[PTR] = POINTER(STRUCT),
	[PTR2] = POINTER(STRUCT2),
	[PTR_INT] = POINTER(INT),
	[PTR_DYNPTR] = POINTER(DYNPTR),
	[PTR_CTX] = POINTER(CTX),
	[PTR_CHAR] = POINTER(CHAR),
	[PTR_VOID] = POINTER(VOID),
	[PTR_NESTED] = POINTER(NESTED),
	[SAME] = { .type = PROTO },
	[PROTO] = { .type = PTR, .vlen = 4, .params = { { INT }, { PTR }, { PTR }, { PTR2 } } },
	[SAME_INT] = { .type = PROTO_INT },
	[PROTO_INT] = { .type = PTR_INT, .vlen = 1, .params = { { PTR_INT } } },
	[CONST_VOID] = { .info = BTF_KIND_CONST, .type = VOID },
	[PTR_CONST] = POINTER(CONST_VOID),
	[READS] = { .type = READS, .vlen = 4, .params = { { PTR_CONST }, { INT, N_SZ }, { PTR }, { PTR_CONST } } },
	[SCALARS] = { .type = SCALARS, .vlen = 2, .params = { { INT }, { INT } } },
	[POINTERS] = { .type = POINTERS, .vlen = 6,
		       .params = { { PTR }, { PTR }, { PTR }, { PTR }, { PTR }, { PTR } } },
	[MIXED] = { .type = MIXED, .vlen = 3, .params = { { PTR }, { INT }, { PTR } } },
	[OTHER] = { .type = OTHER, .vlen = 1, .params = { { PTR } } },
	[ALSO] = { .type = ALSO, .vlen = 1, .params = { { PTR } } },
	[STRUCTS] = { .type = STRUCTS, .vlen = 1, .params = { { STRUCT } } },
	[KINDS] = { .type = KINDS, .vlen = 8, .params = { { PTR_INT }, { PTR_DYNPTR }, { PTR_CTX }, { PTR_CHAR }, { PTR2 },
							  { PTR_NESTED }, { PTR_VOID }, { INT } } },
	[NAMED] = { .type = NAMED, .vlen = 5, .params = { { PTR, N_IGN }, { PTR_CHAR, N_STR }, { PTR, N_UNINIT },
							  { PTR_VOID, N_ALLOC }, { INT, N_K } } },
	[SIZES] = { .type = SIZES, .vlen = 6, .params = { { PTR_VOID }, { INT, N_IGN }, { PTR_VOID }, { INT, N_K },
							  { PTR, N_IGN }, { INT } } },
};

static const struct { const struct btf_type *t; } bpf_ctx_convert = { &types[CONVERT] };

#define btf_params(t)				((t)->params)
#define btf_type_member(t)			((t)->params)
#define btf_array(t)				(&(t)->array)
#define btf_type_vlen(t)			((t)->vlen)
#define for_each_member(i, t, m)		for (i = 0, m = (t)->params; i < (t)->vlen; i++, m++)
#define btf_type_by_id(btf, id)			(&types[id])
#define BTF_INFO_KIND(info)			(info)
#define btf_type_is_ptr(t)			((t)->info == BTF_KIND_PTR)
#define btf_type_is_modifier(t)			((t)->info == BTF_KIND_CONST)
#define btf_type_is_void(t)			((t) == &types[VOID])
#define btf_type_is_struct(t)			((t)->info == BTF_KIND_STRUCT)
#define btf_type_is_array(t)			((t)->info == BTF_KIND_ARRAY)
#define btf_type_is_scalar(t)			((t)->info == BTF_KIND_INT)
#define hweight32(n)				__builtin_popcount(n)
/* A module whose IDs are off by 100 in the object file */
#define btf_relocate_id(btf, id)		((id) - 100)
#define btf_name_by_offset(btf, off)		names[off]

static const struct btf_type *btf_type_skip_modifiers(const struct btf *btf, u32 id, u32 *res)
{
	while (types[id].info == BTF_KIND_CONST)
		id = types[id].type;
	if (res)
		*res = id;
	return &types[id];
}

static bool btf_param_match_suffix(const struct btf *btf, const struct btf_param *param, const char *suffix)
{
	const char *name = names[param->name_off];

	return strlen(name) > strlen(suffix) && !strcmp(name + strlen(name) - strlen(suffix), suffix);
}

static int btf_id_cmp_func(const void *a, const void *b)
{
	const u32 *pa = a, *pb = b;

	return (*pa > *pb) - (*pa < *pb);
}

static void *btf_id_set8_contains(const struct btf_id_set8 *set, u32 id)
{
	return bsearch(&id, set->pairs, set->cnt, sizeof(set->pairs[0]), btf_id_cmp_func);
}

#include GENERATED

static struct btf btf;

/* What __register_btf_kfunc_id_set() does, with a copy of the set that has no byte more than it needs */
static int add(enum btf_kfunc_hook hook, const u32 *words, u32 cnt, u32 size)
{
	struct btf_id_set8 *set = malloc(size), *copy;
	u32 i;
	int err;

	said[0] = 0;
	memcpy(set, words, size);
	err = btf_check_kfunc_args(&btf, hook, set);
	if (!err && cnt) {
		if (!btf.kfunc_set_tab)
			btf.kfunc_set_tab = calloc(1, sizeof(*btf.kfunc_set_tab));
		err = btf_populate_kfunc_arg_flags(&btf, set);
		copy = malloc(8 + cnt * 8);
		memcpy(copy, set, 8 + cnt * 8);
		for (i = 0; i < cnt; i++)
			copy->pairs[i].id = btf_relocate_id(&btf, copy->pairs[i].id);
		free(btf.kfunc_set_tab->sets[hook]);
		btf.kfunc_set_tab->sets[hook] = copy;
	}
	free(set);
	return err;
}

static void reset(void)
{
	int hook;

	if (!btf.kfunc_set_tab)
		return;
	for (hook = 0; hook < BTF_KFUNC_HOOK_MAX; hook++)
		free(btf.kfunc_set_tab->sets[hook]);
	free(btf.kfunc_set_tab->arg_flags);
	free(btf.kfunc_set_tab);
	btf.kfunc_set_tab = NULL;
}

#define COUNT(...)	(sizeof((u32[]){ __VA_ARGS__ }) / 4)
#define BOTH		(BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS)
/* A set of one kfunc, with records */
#define ONE(hook, id, flags, ...)										\
	add(BTF_KFUNC_HOOK_##hook, (u32[]){ 1, BOTH, 100 + id, flags, 24, 4 * COUNT(__VA_ARGS__), __VA_ARGS__ },	\
	    1, 24 + 4 * COUNT(__VA_ARGS__))
#define RECORD(id, ...)	100 + id, COUNT(__VA_ARGS__), __VA_ARGS__
#define PLAIN(hook, id, flags) add(BTF_KFUNC_HOOK_##hook, (u32[]){ 1, BOTH, 100 + id, flags, 24, 0 }, 1, 24)
#define CASE(name, ...) do { reset(); tell(name, (__VA_ARGS__)); } while (0)

/* Print a result, and what the kernel said of a refusal */
static void tell(const char *name, int err)
{
	const char *why = strrchr(said, ')');

	why = why ? why + 1 : said;
	why = strstr(why, ": ") ?: why;
	printf("%s %d%s%s", name, err, err && why[0] != ':' && why[0] != ' ' ? " " : "", err ? why + (why[0] == ':') : "\n");
}

static int flag(u32 id, u32 arg)
{
	u16 flags[MAX_BPF_FUNC_ARGS];

	btf_kfunc_arg_flags(&btf, id, flags);
	return flags[arg];
}

int main(void)
{
	CASE("accepted", ONE(COMMON, POINTERS, 0, RECORD(POINTERS, KFA_RCU, KFA_RELEASE)));
	printf("flags %d %d %d %d\n", flag(POINTERS, 0), flag(POINTERS, 1), flag(POINTERS, 11), flag(OTHER, 0));
	printf("same-again %d", ONE(TC, POINTERS, 0, RECORD(POINTERS, KFA_RCU, KFA_RELEASE)));
	printf(" %d\n", btf.kfunc_set_tab->arg_flags->cnt);
	tell("longer-with-zeros", ONE(TC, POINTERS, 0, RECORD(POINTERS, KFA_RCU, KFA_RELEASE, 0, 0)));
	tell("differs", ONE(TC, POINTERS, 0, RECORD(POINTERS, KFA_RCU)));
	tell("has-none-now", PLAIN(TC, POINTERS, 0));
	tell("attached", PLAIN(FMODRET, POINTERS, 0));
	tell("old-set", add(BTF_KFUNC_HOOK_FMODRET, (u32[]){ 1, 0, 100 + POINTERS, 0 }, 1, 16));
	CASE("had-none", PLAIN(TC, POINTERS, 0) ?: ONE(COMMON, POINTERS, 0, RECORD(POINTERS, KFA_RCU)));
	CASE("was-attached", PLAIN(FMODRET, OTHER, 0) ?: ONE(COMMON, OTHER, 0, RECORD(OTHER, KFA_RCU)));
	CASE("attached-with-flags", ONE(FMODRET, OTHER, 0, RECORD(OTHER, KFA_RCU)));
	CASE("sorted", add(BTF_KFUNC_HOOK_TC, (u32[]){ 3, BOTH, 100 + POINTERS, 0, 100 + OTHER, 0, 100 + ALSO, 0, 40, 40,
			   RECORD(ALSO, KFA_RELEASE), RECORD(POINTERS, 0, 0, KFA_RCU), 100 + OTHER, 0 }, 3, 80));
	printf("found %d %d %d\n", flag(ALSO, 0), flag(POINTERS, 2), flag(OTHER, 0));
	printf("known-and-new %d", add(BTF_KFUNC_HOOK_COMMON, (u32[]){ 2, BOTH, 100 + MIXED, 0, 100 + ALSO, 0, 32, 24,
	       RECORD(ALSO, KFA_RELEASE), RECORD(MIXED, KFA_RCU) }, 2, 56));
	printf(" %d\n", btf.kfunc_set_tab->arg_flags->cnt);
	CASE("empty", add(BTF_KFUNC_HOOK_TC, (u32[]){ 0, BOTH }, 0, 8));
	CASE("unknown", ONE(TC, OTHER, 0, RECORD(OTHER, 1 << 30)));
	CASE("no-such-argument", ONE(TC, OTHER, 0, RECORD(OTHER, 0, KFA_RCU)));
	CASE("no-such-ignored", ONE(TC, OTHER, 0, RECORD(OTHER, 0, KFA_IGN)));
	CASE("trailing-zero", ONE(TC, OTHER, 0, RECORD(OTHER, KFA_RCU, 0)));
	CASE("too-many", ONE(TC, OTHER, 0, RECORD(OTHER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)));
	CASE("scalar", ONE(TC, SCALARS, 0, RECORD(SCALARS, KFA_RCU)));
	CASE("scalar-behind-pointer", ONE(TC, MIXED, 0, RECORD(MIXED, 0, KFA_RCU)));
	CASE("struct", ONE(TC, STRUCTS, 0, RECORD(STRUCTS, KFA_RCU)));
	CASE("two-released", ONE(TC, POINTERS, 0, RECORD(POINTERS, KFA_RELEASE, KFA_RELEASE)));
	CASE("fifth-released", ONE(TC, POINTERS, 0, RECORD(POINTERS, 0, 0, 0, 0, KFA_RELEASE)));
	CASE("sixth-released", ONE(TC, POINTERS, 0, RECORD(POINTERS, 0, 0, 0, 0, 0, KFA_RELEASE)));
	CASE("both-release", ONE(TC, POINTERS, KF_RELEASE, RECORD(POINTERS, 0, KFA_RELEASE)));
	CASE("both-rcu", ONE(TC, POINTERS, KF_RCU, RECORD(POINTERS, 0, KFA_RCU)));
	CASE("release-and-kf-rcu", ONE(TC, POINTERS, KF_RCU, RECORD(POINTERS, 0, KFA_RELEASE)));
	CASE("not-in-set", ONE(TC, POINTERS, 0, RECORD(OTHER, KFA_RCU)));
	CASE("twice", ONE(TC, OTHER, 0, RECORD(OTHER, KFA_RCU), RECORD(OTHER, KFA_RCU)));
	CASE("torn-head", ONE(TC, OTHER, 0, RECORD(OTHER, KFA_RCU), 100 + OTHER));
	CASE("torn-flags", ONE(TC, OTHER, 0, 100 + OTHER, 2, KFA_RCU));
	CASE("huge", ONE(TC, OTHER, 0, 100 + OTHER, 0xffffffff, KFA_RCU));
	CASE("ignored", ONE(TC, MIXED, 0, RECORD(MIXED, 0, KFA_IGN)));
	CASE("ignored-and-more", ONE(TC, MIXED, 0, RECORD(MIXED, KFA_IGN | KFA_RCU)));
	CASE("size", ONE(TC, MIXED, 0, RECORD(MIXED, KFA_NULLABLE | KFA_UNINIT, KFA_CONST_SZ)));
	CASE("size-of-nothing", ONE(TC, SCALARS, 0, RECORD(SCALARS, KFA_SZ)));
	CASE("size-of-scalar", ONE(TC, SCALARS, 0, RECORD(SCALARS, 0, KFA_SZ)));
	CASE("size-pointer", ONE(TC, POINTERS, 0, RECORD(POINTERS, 0, KFA_SZ)));
	CASE("constant", ONE(TC, SCALARS, 0, RECORD(SCALARS, KFA_CONST)));
	CASE("constant-and-size", ONE(TC, MIXED, 0, RECORD(MIXED, 0, KFA_CONST | KFA_SZ)));
	CASE("nullable-scalar", ONE(TC, SCALARS, 0, RECORD(SCALARS, KFA_NULLABLE)));
	CASE("acquired", ONE(TC, SAME, 0, RECORD(SAME, 0, KFA_ACQUIRE)));
	CASE("acquired-rcu", ONE(TC, SAME, 0, RECORD(SAME, 0, 0, KFA_ACQUIRE | KFA_RCU)));
	CASE("acquired-other-released", ONE(TC, SAME, 0, RECORD(SAME, 0, KFA_ACQUIRE, KFA_RELEASE)));
	CASE("acquired-twice", ONE(TC, SAME, 0, RECORD(SAME, 0, KFA_ACQUIRE, KFA_ACQUIRE)));
	CASE("acquired-other-type", ONE(TC, SAME, 0, RECORD(SAME, 0, 0, 0, KFA_ACQUIRE)));
	CASE("acquired-scalar", ONE(TC, SAME, 0, RECORD(SAME, KFA_ACQUIRE)));
	CASE("acquired-and-released", ONE(TC, SAME, 0, RECORD(SAME, 0, KFA_ACQUIRE | KFA_RELEASE)));
	CASE("both-acquire", ONE(TC, SAME, KF_ACQUIRE, RECORD(SAME, 0, KFA_ACQUIRE)));
	CASE("kf-acquire", ONE(TC, SAME, KF_ACQUIRE, RECORD(SAME, 0, KFA_RCU)));
	CASE("acquired-no-struct", ONE(TC, SAME_INT, 0, RECORD(SAME_INT, KFA_ACQUIRE)));
	CASE("acquired-no-return", ONE(TC, POINTERS, 0, RECORD(POINTERS, KFA_ACQUIRE)));
	CASE("read-only", ONE(TC, READS, 0, RECORD(READS, KFA_RDONLY)));
	CASE("read-only-size", ONE(TC, READS, 0, RECORD(READS, 0, KFA_RDONLY)));
	CASE("read-only-writable", ONE(TC, READS, 0, RECORD(READS, 0, 0, KFA_RDONLY)));
	CASE("uninit", ONE(TC, READS, 0, RECORD(READS, 0, 0, KFA_UNINIT)));
	CASE("uninit-const", ONE(TC, READS, 0, RECORD(READS, KFA_UNINIT)));
	CASE("uninit-size", ONE(TC, READS, 0, RECORD(READS, 0, KFA_UNINIT)));
	CASE("uninit-rcu", ONE(TC, READS, 0, RECORD(READS, 0, 0, KFA_UNINIT | KFA_RCU)));
	CASE("uninit-on-stack", ONE(TC, POINTERS, 0, RECORD(POINTERS, 0, 0, 0, 0, 0, KFA_UNINIT)));
	CASE("read-only-rcu", ONE(TC, READS, 0, RECORD(READS, KFA_RDONLY | KFA_RCU)));
	CASE("read-only-without-size", ONE(TC, READS, 0, RECORD(READS, 0, 0, 0, KFA_RDONLY)));
	CASE("uninit-number", ONE(TC, KINDS, 0, RECORD(KINDS, KFA_UNINIT)));
	CASE("uninit-dynptr", ONE(TC, KINDS, 0, RECORD(KINDS, 0, KFA_UNINIT)));
	CASE("uninit-context", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, KFA_UNINIT)));
	CASE("uninit-object", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, 0, 0, KFA_UNINIT)));
	CASE("uninit-without-size", ONE(TC, SIZES, 0, RECORD(SIZES, KFA_UNINIT)));
	CASE("rcu-number", ONE(TC, KINDS, 0, RECORD(KINDS, KFA_RCU)));
	CASE("rcu-dynptr", ONE(TC, KINDS, 0, RECORD(KINDS, 0, KFA_RCU)));
	CASE("rcu-context", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, KFA_RCU)));
	CASE("rcu-object", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, 0, 0, KFA_RCU)));
	CASE("rcu-ignored", ONE(TC, NAMED, 0, RECORD(NAMED, KFA_RCU)));
	CASE("rcu-uninit", ONE(TC, NAMED, 0, RECORD(NAMED, 0, 0, KFA_RCU)));
	CASE("rcu-and-release", ONE(TC, OTHER, 0, RECORD(OTHER, KFA_RCU | KFA_RELEASE)));
	CASE("released-number", ONE(TC, KINDS, 0, RECORD(KINDS, KFA_RELEASE)));
	CASE("released-dynptr", ONE(TC, KINDS, 0, RECORD(KINDS, 0, KFA_RELEASE)));
	CASE("released-context", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, KFA_RELEASE)));
	CASE("released-allocated", ONE(TC, NAMED, 0, RECORD(NAMED, 0, 0, 0, KFA_RELEASE)));
	CASE("string", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, 0, KFA_STR)));
	CASE("string-of-struct", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, 0, 0, KFA_STR)));
	CASE("string-of-numbers", ONE(TC, KINDS, 0, RECORD(KINDS, KFA_STR)));
	CASE("string-twice", ONE(TC, NAMED, 0, RECORD(NAMED, 0, KFA_STR)));
	CASE("uninit-twice", ONE(TC, NAMED, 0, RECORD(NAMED, 0, 0, KFA_UNINIT)));
	CASE("constant-twice", ONE(TC, NAMED, 0, RECORD(NAMED, 0, 0, 0, 0, KFA_CONST)));
	CASE("ignored-twice", ONE(TC, NAMED, 0, RECORD(NAMED, KFA_IGN)));
	CASE("nullable-ignored", ONE(TC, NAMED, 0, RECORD(NAMED, KFA_NULLABLE)));
	CASE("nullable-string", ONE(TC, NAMED, 0, RECORD(NAMED, 0, KFA_NULLABLE)));
	CASE("size-by-flag", ONE(TC, KINDS, 0, RECORD(KINDS, 0, 0, 0, 0, 0, 0, KFA_NULLABLE, KFA_SZ)));
	CASE("size-ignored", ONE(TC, SIZES, 0, RECORD(SIZES, 0, KFA_SZ)));
	CASE("size-constant", ONE(TC, SIZES, 0, RECORD(SIZES, 0, 0, 0, KFA_SZ)));
	CASE("size-of-ignored", ONE(TC, SIZES, 0, RECORD(SIZES, 0, 0, 0, 0, 0, KFA_SZ)));
	CASE("size-of-flagged-ignored", ONE(TC, MIXED, 0, RECORD(MIXED, KFA_IGN, KFA_SZ)));
	CASE("size-is-ignored", ONE(TC, READS, 0, RECORD(READS, 0, KFA_IGN)));
	reset();
	return 0;
}
