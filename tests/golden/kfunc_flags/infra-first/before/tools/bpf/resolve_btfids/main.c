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

static int collect_kfuncs(struct object *obj, struct btf2btf_context *ctx)
{
	s32 func_id = btf__find_by_name_kind_own(ctx->btf, name, BTF_KIND_FUNC);

	return push_kfunc(ctx, func_id);
}

static bool is_kf_implicit_arg(const struct btf *btf, const struct btf_param *p)
{
	return false;
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
		err = add_decl_tag(&ctx, DECL_TAG_KFUNC, kfunc->btf_id, -1);
		if (err)
			goto out;
	}

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
