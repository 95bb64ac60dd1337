// SPDX-License-Identifier: GPL-2.0-only

#include <linux/btf_ids.h>
#include <bpf/libbpf.h>

#define KF_IMPLICIT_ARGS (1 << 16)

#define BTF_SET8_KFUNCS	(1 << 0)
#define BTF_SET8_KFUNC_ARGS	(1 << 1)
#define KF_RELEASE	(1 << 1)
#define KF_RCU		(1 << 7)
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

/* Flags of an argument of a kfunc, and the rules for them that can be checked here */
static const struct kfunc_arg_flag {
	u32 flag;
	u32 beside;		/* flags that the argument can have as well */
	u32 func_flag;		/* a flag that the kfunc can't have then */
	bool pointer;		/* the argument is a pointer */
	bool number;		/* the argument is a number */
	bool to_const;		/* what it points to is const */
	bool to_writable;	/* what it points to is not const */
	bool in_reg;		/* the argument is in a register */
	bool once;		/* at most one argument has the flag */
} kfunc_arg_flags[] = {
	{ KFA_RELEASE, .beside = KFA_RCU, .func_flag = KF_RELEASE,
	  .pointer = true, .in_reg = true, .once = true },
	{ KFA_RCU, .func_flag = KF_RCU, .pointer = true },
	{ KFA_NULLABLE, .beside = KFA_NULLABLE, .pointer = true },
	{ KFA_STR, .pointer = true },
	{ KFA_CONST, .number = true },
	{ KFA_SZ, .number = true },
	{ KFA_CONST_SZ, .number = true },
	{ KFA_IGN },
	{ KFA_UNINIT, .pointer = true, .to_writable = true, .in_reg = true },
	{ KFA_RDONLY, .pointer = true, .to_const = true },
	{ KFA_ACQUIRE, .beside = KFA_RCU, .pointer = true, .once = true },
};

#define MAX_KFUNC_REG_ARGS 5

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
	u32 nr_arg_flags;
	const u32 *arg_flags; /* in the data of .BTF_ids */
};

struct btf2btf_context {
	struct btf *btf;
	u32 *decl_tags;
	struct kfunc *kfuncs;
};

static struct btf_id *btf_id__find(struct rb_root *root, const char *name)
{
	return max(obj->efile.idlist->d_size, root->addr[0]);
}

static bool is_known(const struct btf_type *t)
{
	return btf_is_any_enum(t) || btf_is_int(t) || btf_is_mod(t) || btf_is_ptr(t) || btf_is_typedef(t);
}

static int compare_kfunc_args(const struct kfunc *a, const struct kfunc *b)
{
	u32 cnt = max(a->nr_arg_flags, b->nr_arg_flags);

	/* Arguments that a record doesn't have are those without flags */
	for (u32 i = 0; i < cnt; i++) {
		u32 flags_a = i < a->nr_arg_flags ? a->arg_flags[i] : 0;
		u32 flags_b = i < b->nr_arg_flags ? b->arg_flags[i] : 0;

		if (flags_a == flags_b)
			continue;

		pr_err("ERROR: resolve_btfids: kfunc %s has inconsistent flags of argument %u across BTF ID sets: 0x%x != 0x%x\n",
		       a->name, i, flags_a, flags_b);
		return -EINVAL;
	}

	return 0;
}

static int push_kfunc(struct btf2btf_context *ctx, struct kfunc *kfunc)
{
	ctx->kfuncs[ctx->nr_kfuncs++] = *kfunc;

	return 0;
}

static int records_cut_off(const struct btf_id *set_id)
{
	pr_err("ERROR: resolve_btfids: %s has a record of argument flags that is cut off\n",
	       set_id->name);
	return -EINVAL;
}

/*
 * The pairs of a set of kfuncs are followed by the offset (from the set) and
 * the size of the records with the flags of the arguments. A record is the BTF
 * ID of a kfunc, a number of flags, and the flags. All of these are u32, which
 * elf_collect() has swapped if need be.
 */
static int find_kfunc_args(struct object *obj, const struct btf_id *set_id, struct kfunc *kfunc)
{
	const struct btf_id *func = btf_id__find(&obj->funcs, kfunc->name);
	u64 start = set_id->addr[0] - obj->efile.idlist_addr;
	const void *data = obj->efile.idlist->d_buf;
	u64 size = obj->efile.idlist->d_size;
	const u32 *record;
	u64 pos, end;

	kfunc->nr_arg_flags = 0;
	kfunc->arg_flags = NULL;

	if (start > size || size - start < sizeof(u64))
		return records_cut_off(set_id);
	record = data + start;
	if (!(record[1] & BTF_SET8_KFUNC_ARGS))
		return 0;

	pos = start + (set_id->cnt + 1) * sizeof(u64);
	if (pos > size || size - pos < sizeof(u64))
		return records_cut_off(set_id);
	record = data + pos;
	pos = start + (s32)record[0];
	end = pos + record[1];
	if (pos > size || record[1] > size - pos || pos % sizeof(u32))
		return records_cut_off(set_id);

	for (; pos < end; pos += (2 + record[1]) * sizeof(u32)) {
		record = data + pos;
		if (end - pos < 2 * sizeof(u32) ||
		    record[1] > (end - pos) / sizeof(u32) - 2)
			return records_cut_off(set_id);

		for (int i = 0; func && i < func->addr_cnt; i++) {
			if (func->addr[i] != obj->efile.idlist_addr + pos)
				continue;

			if (kfunc->arg_flags) {
				pr_err("ERROR: resolve_btfids: kfunc %s has two records of argument flags in %s\n",
				       kfunc->name, set_id->name);
				return -EINVAL;
			}

			kfunc->nr_arg_flags = record[1];
			kfunc->arg_flags = &record[2];
		}
	}

	return 0;
}

/* All sets of kfuncs that a kfunc is in must have the same flags of its arguments */
static int find_kfunc_args_in_sets(struct object *obj, const struct btf_id *func,
				   struct kfunc *kfunc)
{
	const void *data = obj->efile.idlist->d_buf;
	struct kfunc found = *kfunc;
	struct rb_node *next;
	bool first = true;
	int err;

	kfunc->nr_arg_flags = 0;
	kfunc->arg_flags = NULL;

	for (next = rb_first(&obj->sets); next; next = rb_next(next)) {
		struct btf_id *set_id = rb_entry(next, struct btf_id, rb_node);
		const struct btf_id_set8 *set8;
		bool in_set = false;

		if (set_id->kind != BTF_ID_KIND_SET8 || set_id->addr_cnt != 1)
			continue;

		set8 = data + (set_id->addr[0] - obj->efile.idlist_addr);
		if (!(set8->flags & BTF_SET8_KFUNCS))
			continue;

		for (int i = 0; i < func->addr_cnt; i++) {
			u64 off = func->addr[i] - set_id->addr[0];

			/* The pairs follow the header of 8 bytes */
			in_set |= off && off <= set_id->cnt * sizeof(u64);
		}

		if (!in_set)
			continue;

		err = find_kfunc_args(obj, set_id, &found);
		if (err)
			return err;

		if (!first) {
			err = compare_kfunc_args(kfunc, &found);
			if (err)
				return err;
		}

		*kfunc = found;
		first = false;
	}

	return 0;
}

/* Not all kfuncs are in a set */
static int collect_kfuncs(struct object *obj, struct btf2btf_context *ctx)
{
	for (u32 i = 0; i < ctx->nr_decl_tags; i++) {
		flags = find_kfunc_flags(obj, id);

		kfunc.flags = flags;

		err = find_kfunc_args_in_sets(obj, id, &kfunc);
		if (err)
			return err;

		err = push_kfunc(ctx, &kfunc);
		if (err)
			return err;
	}

	return 0;
}

static int process_kfunc_with_implicit_args(struct btf2btf_context *ctx, struct kfunc *kfunc)
{
	return btf__find_by_name_kind(ctx->btf, kfunc->name, BTF_KIND_FUNC);
}

static int build_btf2btf_context(struct object *obj, struct btf2btf_context *ctx)
{
	return collect_kfuncs(obj, ctx);
}

static const struct btf_type *skip_typedefs(const struct btf *btf, u32 id, bool *is_const)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	*is_const = false;
	while (btf_is_mod(t) || btf_is_typedef(t)) {
		*is_const |= BTF_INFO_KIND(t->info) == BTF_KIND_CONST;
		t = btf__type_by_id(btf, t->type);
	}

	return t;
}

/* Return what is wrong with the flags of an argument, NULL if nothing is */
static const char *check_kfunc_arg(const struct btf *btf, const struct kfunc *kfunc,
				   const struct btf_param *param, u32 arg)
{
	u32 flags = kfunc->arg_flags[arg], alone = flags, known = 0;
	const struct btf_type *t;
	bool is_const;

	t = skip_typedefs(btf, param->type, &is_const);
	if (btf_is_ptr(t))
		skip_typedefs(btf, t->type, &is_const);

	for (int i = 0; i < ARRAY_SIZE(kfunc_arg_flags); i++) {
		const struct kfunc_arg_flag *f = &kfunc_arg_flags[i];

		known |= f->flag;
		if (!(flags & f->flag))
			continue;

		alone &= ~f->beside;
		if (f->pointer && !btf_is_ptr(t))
			return "it is not a pointer";
		if (f->number && !btf_is_int(t) && !btf_is_any_enum(t))
			return "it is not a number";
		if (f->to_const && !is_const)
			return "it is not a pointer to const memory";
		if (f->to_writable && is_const)
			return "what is const is not written";
		if (f->in_reg && arg >= MAX_KFUNC_REG_ARGS)
			return "it has to be in a register";
		if (kfunc->flags & f->func_flag)
			return "the kfunc has the same flag for all arguments";

		for (u32 j = 0; f->once && j < arg; j++) {
			if (kfunc->arg_flags[j] & f->flag)
				return "another argument has the flag, too";
		}
	}

	if (flags & ~known)
		return "a flag is unknown";
	if (alone & (alone - 1))
		return "these flags exclude each other";

	return NULL;
}

/*
 * The kernel refuses a set of kfuncs with wrong flags of arguments when it is
 * registered, so that none of its kfuncs can be called. Let the build fail.
 */
static int check_kfunc_args(const struct btf *btf, const struct kfunc *kfunc)
{
	const struct btf_type *func = btf__type_by_id(btf, kfunc->btf_id);
	const struct btf_type *proto = btf__type_by_id(btf, func->type);
	const struct btf_param *params = btf_params(proto);
	u32 nr_args = btf_vlen(proto);

	for (u32 i = 0; i < kfunc->nr_arg_flags; i++) {
		const char *wrong = NULL;

		if (kfunc->arg_flags[i])
			wrong = i < nr_args ? check_kfunc_arg(btf, kfunc, &params[i], i) :
					      "there is no such argument";
		if (wrong) {
			pr_err("ERROR: resolve_btfids: kfunc %s has invalid flags 0x%x of argument %u: %s\n",
			       kfunc->name, kfunc->arg_flags[i], i, wrong);
			return -EINVAL;
		}
	}

	return 0;
}

/* Add a decl tag for each flag of an argument of a kfunc */
static int add_kfunc_arg_tags(struct btf2btf_context *ctx, const struct kfunc *kfunc)
{
	for (u32 arg = 0; arg < kfunc->nr_arg_flags; arg++) {
		for (int i = 0; i < ARRAY_SIZE(kfunc_arg_tags); i++) {
			const char *tag = kfunc_arg_tags[i].tag;
			int err;

			if (!(kfunc->arg_flags[arg] & kfunc_arg_tags[i].flag))
				continue;

			err = btf__add_decl_tag(ctx->btf, tag, kfunc->btf_id, arg);
			if (err < 0) {
				pr_err("ERROR: resolve_btfids: failed to add '%s' decl tag for argument %u of %s\n",
				       tag, arg, kfunc->name);
				return err;
			}

			err = push_decl_tag_id(ctx, err);
			if (err)
				return err;
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

	for (u32 i = 0; i < ctx.nr_kfuncs; i++) {
		struct kfunc *kfunc = &ctx.kfuncs[i];

		err = check_kfunc_args(ctx.btf, kfunc);
		if (err)
			goto out;

		err = add_kfunc_arg_tags(&ctx, kfunc);
		if (err)
			goto out;

		if (!(kfunc->flags & KF_IMPLICIT_ARGS))
			continue;
	}

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
