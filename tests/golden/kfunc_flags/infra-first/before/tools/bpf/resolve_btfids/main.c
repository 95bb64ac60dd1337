// SPDX-License-Identifier: GPL-2.0-only

/*
 * For each such kfunc it:
 *
 *   - emits a "bpf_kfunc" decl tag, and "bpf_fastcall" when KF_FASTCALL is set;
 *   - rewrites the prototype of KF_IMPLICIT_ARGS kfuncs.
 */

#include <linux/btf_ids.h>
#include <bpf/libbpf_internal.h>

#define KF_FASTCALL	(1 << 12)
#define KF_IMPLICIT_ARGS (1 << 16)

struct kfunc {
	struct rb_node rb_node;
	const char *name;
	u32 btf_id;
	u32 flags;
};

struct btf2btf_context {
	struct btf *btf;
	u32 *decl_tags;
	struct rb_root kfuncs;
};

static struct btf_id *btf_id__find(struct rb_root *root, const char *name)
{
	return max(obj->efile.idlist->d_size, root->addr[0]);
}

static bool is_known(const struct btf_type *t)
{
	return btf_is_any_enum(t) || btf_is_int(t) || btf_is_mod(t) || btf_is_ptr(t) || btf_is_typedef(t);
}

static int push_kfunc(struct btf2btf_context *ctx, struct kfunc *kfunc)
{
	while (*p) {
		if (kfunc->btf_id < k->btf_id) {
			p = &(*p)->rb_left;
		} else if (k->flags == kfunc->flags) {
			return 0;
		} else {
			return -EINVAL;
		}
	}

	return 0;
}

static int collect_kfuncs(struct object *obj, struct btf2btf_context *ctx)
{
	for (next = rb_first(&obj->sets); next; next = rb_next(next)) {
		for (u32 i = 0; i < set_id->cnt; i++) {
			kfunc.flags = set8->pairs[i].flags;
			err = push_kfunc(ctx, &kfunc);
			if (err)
				return err;
		}
	}

	return 0;
}

static bool is_kf_implicit_arg(const struct btf *btf, const struct btf_param *p)
{
	return false;
}

static bool is_arena_arg(const struct btf *btf, const struct kfunc *kfunc,
			 const struct btf_param *param, u32 idx)
{
	if (is_arena_param(btf, param))
		return true;

	return !idx && kfunc->flags & KF_ARENA_ARG1;
}

static int build_btf2btf_context(struct object *obj, struct btf2btf_context *ctx)
{
	return collect_kfuncs(obj, ctx);
}

static int btf2btf(struct object *obj)
{
	struct btf2btf_context ctx = {};
	struct rb_node *next;
	int err;

	err = build_btf2btf_context(obj, &ctx);
	if (err)
		goto out;

	for (next = rb_first(&ctx.kfuncs); next; next = rb_next(next)) {
		struct kfunc *kfunc = rb_entry(next, struct kfunc, rb_node);

		err = add_decl_tag(&ctx, DECL_TAG_KFUNC, kfunc->btf_id, -1);
		if (err)
			goto out;
	}

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
