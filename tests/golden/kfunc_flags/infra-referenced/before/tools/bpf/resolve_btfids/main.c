// SPDX-License-Identifier: GPL-2.0-only

#include <linux/btf_ids.h>
#include <bpf/libbpf.h>

#define KF_IMPLICIT_ARGS (1 << 16)

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
	ctx->kfuncs[ctx->nr_kfuncs++] = *kfunc;

	return 0;
}

/* Not all kfuncs are in a set */
static int collect_kfuncs(struct object *obj, struct btf2btf_context *ctx)
{
	for (u32 i = 0; i < ctx->nr_decl_tags; i++) {
		flags = find_kfunc_flags(obj, id);

		kfunc.flags = flags;

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

		if (!(kfunc->flags & KF_IMPLICIT_ARGS))
			continue;
	}

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
