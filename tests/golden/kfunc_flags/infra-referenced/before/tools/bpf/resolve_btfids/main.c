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

static int process_kfunc_with_implicit_args(struct btf2btf_context *ctx, struct kfunc *kfunc)
{
	return btf__find_by_name_kind(ctx->btf, kfunc->name, BTF_KIND_FUNC);
}

/* From the BTF of pahole to that of the kernel */
static int btf2btf(struct object *obj)
{
	struct btf2btf_context ctx = {};
	int err;

	err = build_btf2btf_context(obj, &ctx);
	if (err)
		goto out;

	err = 0;
out:
	free(ctx.decl_tags);

	return err;
}
