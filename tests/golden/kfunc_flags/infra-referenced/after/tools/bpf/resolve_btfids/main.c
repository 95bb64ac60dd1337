// SPDX-License-Identifier: GPL-2.0-only

#include <linux/btf_ids.h>
#include <bpf/libbpf.h>

#define KF_IMPLICIT_ARGS (1 << 16)

#define BTF_SET8_KFUNC_ARGS (1 << 1)

#define KFA_RELEASE	(1 << 0)
#define KFA_RCU		(1 << 1)
#define KFA_NULLABLE	(1 << 3)
#define KFA_STR		(1 << 4)
#define KFA_CONST	(1 << 5)
#define KFA_SZ		(1 << 6)
#define KFA_CONST_SZ	(1 << 7)
#define KFA_IGN		(1 << 8)
#define KFA_UNINIT	(1 << 9)
#define KFA_RDONLY	(1 << 2)
#define KFA_ACQUIRE	(1 << 10)

/* The decl tags that stand for the flags of an argument of a kfunc */
static const struct {
	u32 flag;
	const char *tag;
} kfunc_arg_tags[] = {
	{ KFA_RELEASE, "arg:release" },
	{ KFA_RCU, "arg:rcu" },
	{ KFA_NULLABLE, "arg:nullable" },
	{ KFA_STR, "arg:str" },
	{ KFA_CONST, "arg:const" },
	{ KFA_SZ, "arg:sz" },
	{ KFA_CONST_SZ, "arg:const_sz" },
	{ KFA_IGN, "arg:ign" },
	{ KFA_UNINIT, "arg:uninit" },
	{ KFA_RDONLY, "arg:rdonly" },
	{ KFA_ACQUIRE, "arg:acquire" },
};

struct kfunc {
	const char *name;
	u32 btf_id;
	u32 flags;
};

struct btf2btf_context {
	struct btf *btf;
	u32 *decl_tags;
	struct kfunc *kfuncs;
};

static int process_kfunc_with_implicit_args(struct btf2btf_context *ctx, struct kfunc *kfunc)
{
	return btf__find_by_name_kind(ctx->btf, kfunc->name, BTF_KIND_FUNC);
}

/*
 * The pairs of a set of kfuncs are followed by the offset (from the set) and
 * the size of the records with the flags of the arguments. A record is the BTF
 * ID of a kfunc, a number of flags, and the flags. Return the flags and their
 * number if there is a record at addr.
 */
static const u32 *find_kfunc_arg_flags(struct object *obj, u64 addr, u32 *cnt)
{
	u64 pos = addr - obj->efile.idlist_addr;
	void *data = obj->efile.idlist->d_buf;
	struct rb_node *next;

	for (next = rb_first(&obj->sets); next; next = rb_next(next)) {
		struct btf_id *set_id = rb_entry(next, struct btf_id, rb_node);
		const u32 *set, *ref, *record = data + pos;
		u64 start, end;

		if (set_id->kind != BTF_ID_KIND_SET8 || set_id->addr_cnt != 1)
			continue;

		start = set_id->addr[0] - obj->efile.idlist_addr;
		set = data + start;
		if (!(set[1] & BTF_SET8_KFUNC_ARGS))
			continue;

		ref = &set[2 + 2 * set_id->cnt];
		start += (s32)ref[0];
		end = start + ref[1];
		if (pos < start || pos + 2 * sizeof(u32) > end)
			continue;

		if (record[1] > (end - pos) / sizeof(u32) - 2)
			return NULL;

		*cnt = record[1];
		return &record[2];
	}

	return NULL;
}

static int add_kfunc_arg_tag(struct btf2btf_context *ctx, const char *tag, s32 func_id, u32 arg)
{
	s32 id = btf__add_decl_tag(ctx->btf, tag, func_id, arg);

	if (id < 0) {
		pr_err("ERROR: resolve_btfids: failed to add '%s' decl tag for argument %u of BTF id %d\n",
		       tag, arg, func_id);
		return id;
	}

	return push_decl_tag_id(ctx, id);
}

/* Is there such an argument in the prototype that programs see? */
static bool is_kfunc_arg(const struct btf *btf, s32 func_id, u32 arg)
{
	const struct btf_type *proto = btf__type_by_id(btf, btf__type_by_id(btf, func_id)->type);

	return arg < btf_vlen(proto);
}

/* Add a decl tag for each flag of an argument of a kfunc */
static int add_kfunc_arg_tags(struct object *obj, struct btf2btf_context *ctx)
{
	struct rb_node *next;

	for (next = rb_first(&obj->funcs); next; next = rb_next(next)) {
		struct btf_id *func = rb_entry(next, struct btf_id, rb_node);
		const u32 *flags = NULL;
		u32 cnt, arg;
		s32 func_id;
		int i, err;

		/* All sets that a kfunc is in have the same flags */
		for (i = 0; i < func->addr_cnt && !flags; i++)
			flags = find_kfunc_arg_flags(obj, func->addr[i], &cnt);

		if (!flags)
			continue;

		func_id = btf__find_by_name_kind(ctx->btf, func->name, BTF_KIND_FUNC);
		if (func_id < 0)
			continue;

		for (arg = 0; arg < cnt; arg++) {
			/* The kernel refuses flags of arguments that programs don't pass */
			if (!is_kfunc_arg(ctx->btf, func_id, arg))
				break;

			for (i = 0; i < ARRAY_SIZE(kfunc_arg_tags); i++) {
				if (!(flags[arg] & kfunc_arg_tags[i].flag))
					continue;

				err = add_kfunc_arg_tag(ctx, kfunc_arg_tags[i].tag, func_id, arg);
				if (err)
					return err;
			}
		}
	}

	return 0;
}

/* From the BTF of pahole to that of the kernel */
static int btf2btf(struct object *obj)
{
	struct btf2btf_context ctx = {};
	int err;

	err = build_btf2btf_context(obj, &ctx);
	if (err)
		goto out;

	err = add_kfunc_arg_tags(obj, &ctx);
	if (err)
		goto out;

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
