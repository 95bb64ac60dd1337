// SPDX-License-Identifier: GPL-2.0-only
/* Types of the kernel, and the kfuncs that are registered for each of them. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

enum btf_kfunc_hook {
	BTF_KFUNC_HOOK_COMMON,
	BTF_KFUNC_HOOK_TC,
	BTF_KFUNC_HOOK_STRUCT_OPS,
	BTF_KFUNC_HOOK_TRACING,
	BTF_KFUNC_HOOK_SYSCALL,
	BTF_KFUNC_HOOK_FMODRET,
	BTF_KFUNC_HOOK_MAX,
};

enum {
	BTF_KFUNC_SET_MAX_CNT = 256,
	BTF_KFUNC_FILTER_MAX_CNT = 16,
};

struct btf_kfunc_hook_filter {
	btf_kfunc_filter_t filters[BTF_KFUNC_FILTER_MAX_CNT];
	u32 nr_filters;
};

struct btf_kfunc_set_tab {
	struct btf_id_set8 *sets[BTF_KFUNC_HOOK_MAX];
	struct btf_kfunc_hook_filter hook_filters[BTF_KFUNC_HOOK_MAX];
};

struct btf {
	const char *name;
	struct btf_type **types;
	const char *strings;
	u32 nr_types;
	bool kernel_btf;
	struct btf_kfunc_set_tab *kfunc_set_tab;
};

/* What programs have as their context, and what it is in the kernel. */
union {
	struct bpf_ctx_convert {
#define BPF_PROG_TYPE(_id, _name, prog_ctx_type, kern_ctx_type) \
	prog_ctx_type _id##_prog; \
	kern_ctx_type *_id##_kern;
#include <linux/bpf_types.h>
#undef BPF_PROG_TYPE
	} *__t;
	const struct btf_type *t;
} bpf_ctx_convert;

struct btf *bpf_get_btf_vmlinux(void)
{
	return btf_vmlinux;
}

static bool btf_is_module(const struct btf *btf)
{
	return btf != btf_vmlinux;
}

const struct btf_type *btf_type_by_id(const struct btf *btf, u32 type_id)
{
	return type_id < btf->nr_types ? btf->types[type_id] : NULL;
}

const char *btf_name_by_offset(const struct btf *btf, u32 offset)
{
	return &btf->strings[offset];
}

const struct btf_type *btf_type_skip_modifiers(const struct btf *btf, u32 id, u32 *res_id)
{
	const struct btf_type *t = btf_type_by_id(btf, id);

	while (t && btf_type_is_modifier(t)) {
		id = t->type;
		t = btf_type_by_id(btf, id);
	}
	if (res_id)
		*res_id = id;

	return t;
}

bool btf_param_match_suffix(const struct btf *btf, const struct btf_param *arg, const char *suffix)
{
	size_t suffix_len = strlen(suffix), len;
	const char *name = btf_name_by_offset(btf, arg->name_off);

	len = strlen(name);
	if (len <= suffix_len)
		return false;

	return !strcmp(name + len - suffix_len, suffix);
}

u32 btf_relocate_id(const struct btf *btf, u32 id)
{
	return btf->kernel_btf ? id : id + 1;
}

static void btf_free_kfunc_set_tab(struct btf *btf)
{
	struct btf_kfunc_set_tab *tab = btf->kfunc_set_tab;
	int hook;

	if (!tab)
		return;
	for (hook = 0; hook < ARRAY_SIZE(tab->sets); hook++)
		kfree(tab->sets[hook]);
	kfree(tab);
	btf->kfunc_set_tab = NULL;
}

void btf_put(struct btf *btf)
{
	if (btf_is_module(btf))
		btf_free_kfunc_set_tab(btf);
}

/* The names of iterators follow a pattern. */
static int btf_check_iter_kfuncs(struct btf *btf, const char *func_name, u32 func_flags)
{
	if (strncmp(func_name, "bpf_iter_", strlen("bpf_iter_")))
		return -EINVAL;

	return is_power_of_2(func_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY)) ? 0 : -EINVAL;
}

static int btf_check_kfunc_protos(struct btf *btf, u32 func_id, u32 func_flags)
{
	const struct btf_type *func;
	const char *func_name;

	/* a kfunc is FUNC -> FUNC_PROTO */
	func = btf_type_by_id(btf, func_id);
	if (!func || !btf_type_is_func(func))
		return -EINVAL;

	func_name = btf_name_by_offset(btf, func->name_off);
	func = btf_type_by_id(btf, func->type);
	if (!func || !btf_type_is_func_proto(func))
		return -EINVAL;

	if (func_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY))
		return btf_check_iter_kfuncs(btf, func_name, func_flags);

	return 0;
}

/* Kernel Function (kfunc) BTF ID set registration API */

static int btf_populate_kfunc_set(struct btf *btf, enum btf_kfunc_hook hook,
				  const struct btf_kfunc_id_set *kset)
{
	struct btf_kfunc_hook_filter *hook_filter;
	struct btf_id_set8 *add_set = kset->set;
	bool vmlinux_set = !btf_is_module(btf);
	struct btf_kfunc_set_tab *tab;
	struct btf_id_set8 *set;
	u32 set_cnt, i;
	int ret;

	if (hook >= BTF_KFUNC_HOOK_MAX) {
		ret = -EINVAL;
		goto end;
	}

	if (!add_set->cnt)
		return 0;

	tab = btf->kfunc_set_tab;
	if (!tab) {
		tab = kzalloc_obj(*tab, GFP_KERNEL | __GFP_NOWARN);
		if (!tab)
			return -ENOMEM;
		btf->kfunc_set_tab = tab;
	}

	set = tab->sets[hook];
	/* a module registers one set for a hook */
	if (WARN_ON_ONCE(set && !vmlinux_set)) {
		ret = -EINVAL;
		goto end;
	}

	set_cnt = set ? set->cnt : 0;
	if (set_cnt > U32_MAX - add_set->cnt) {
		ret = -EOVERFLOW;
		goto end;
	}
	if (set_cnt + add_set->cnt > BTF_KFUNC_SET_MAX_CNT) {
		ret = -E2BIG;
		goto end;
	}

	/* Grow set */
	set = krealloc(tab->sets[hook],
		       struct_size(set, pairs, set_cnt + add_set->cnt),
		       GFP_KERNEL | __GFP_NOWARN);
	if (!set) {
		ret = -ENOMEM;
		goto end;
	}

	if (!tab->sets[hook])
		set->cnt = 0;
	tab->sets[hook] = set;

	memcpy(set->pairs + set->cnt, add_set->pairs, add_set->cnt * sizeof(set->pairs[0]));
	/* the copies have ids of this BTF */
	for (i = set->cnt; i < set->cnt + add_set->cnt; i++)
		set->pairs[i].id = btf_relocate_id(btf, set->pairs[i].id);
	set->cnt += add_set->cnt;
	sort(set->pairs, set->cnt, sizeof(set->pairs[0]), btf_id_cmp_func, NULL);

	hook_filter = &tab->hook_filters[hook];
	if (kset->filter && hook_filter->nr_filters < BTF_KFUNC_FILTER_MAX_CNT)
		hook_filter->filters[hook_filter->nr_filters++] = kset->filter;
	return 0;
end:
	btf_free_kfunc_set_tab(btf);
	return ret;
}

static u32 *btf_kfunc_id_set_contains(const struct btf *btf,
				      enum btf_kfunc_hook hook,
				      u32 kfunc_btf_id)
{
	struct btf_id_set8 *set;
	u32 *id;

	if (hook >= BTF_KFUNC_HOOK_MAX || !btf->kfunc_set_tab)
		return NULL;
	set = btf->kfunc_set_tab->sets[hook];
	if (!set)
		return NULL;
	id = btf_id_set8_contains(set, kfunc_btf_id);

	/* the flags follow the id */
	return id ? id + 1 : NULL;
}

static bool __btf_kfunc_is_allowed(const struct btf *btf, enum btf_kfunc_hook hook,
				   u32 kfunc_btf_id, const struct bpf_prog *prog)
{
	struct btf_kfunc_hook_filter *hook_filter;
	u32 i;

	if (hook >= BTF_KFUNC_HOOK_MAX || !btf->kfunc_set_tab)
		return false;

	hook_filter = &btf->kfunc_set_tab->hook_filters[hook];
	for (i = 0; i < hook_filter->nr_filters; i++) {
		if (hook_filter->filters[i](prog, kfunc_btf_id))
			return false;
	}

	return true;
}

static enum btf_kfunc_hook bpf_prog_type_to_kfunc_hook(enum bpf_prog_type prog_type)
{
	switch (prog_type) {
	case BPF_PROG_TYPE_UNSPEC:
		return BTF_KFUNC_HOOK_COMMON;
	case BPF_PROG_TYPE_SCHED_CLS:
		return BTF_KFUNC_HOOK_TC;
	case BPF_PROG_TYPE_STRUCT_OPS:
		return BTF_KFUNC_HOOK_STRUCT_OPS;
	case BPF_PROG_TYPE_TRACING:
		return BTF_KFUNC_HOOK_TRACING;
	case BPF_PROG_TYPE_SYSCALL:
		return BTF_KFUNC_HOOK_SYSCALL;
	default:
		return BTF_KFUNC_HOOK_MAX;
	}
}

bool btf_kfunc_is_allowed(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog)
{
	enum btf_kfunc_hook hook = bpf_prog_type_to_kfunc_hook(resolve_prog_type(prog));

	if (btf_kfunc_id_set_contains(btf, BTF_KFUNC_HOOK_COMMON, kfunc_btf_id))
		return __btf_kfunc_is_allowed(btf, BTF_KFUNC_HOOK_COMMON, kfunc_btf_id, prog);

	return btf_kfunc_id_set_contains(btf, hook, kfunc_btf_id) &&
	       __btf_kfunc_is_allowed(btf, hook, kfunc_btf_id, prog);
}

/*
 * Caution: the caller holds a reference to the module of the BTF, else the table of
 * kfuncs may go away under it.
 */
u32 *btf_kfunc_flags(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog)
{
	enum bpf_prog_type prog_type = resolve_prog_type(prog);
	u32 *kfunc_flags;

	kfunc_flags = btf_kfunc_id_set_contains(btf, BTF_KFUNC_HOOK_COMMON, kfunc_btf_id);
	if (kfunc_flags)
		return kfunc_flags;

	return btf_kfunc_id_set_contains(btf, bpf_prog_type_to_kfunc_hook(prog_type), kfunc_btf_id);
}

/* Return 1 if a flag is set in all sets of a kfunc, 0 if in none, else an error. */
int btf_kfunc_check_flag(const struct btf *btf, u32 kfunc_btf_id, u32 flag)
{
	enum btf_kfunc_hook hook;
	int res = -ENOENT;
	u32 *flags;

	for (hook = 0; hook < BTF_KFUNC_HOOK_MAX; hook++) {
		flags = btf_kfunc_id_set_contains(btf, hook, kfunc_btf_id);
		if (!flags)
			continue;
		if (res >= 0 && res != !!(*flags & flag))
			return -EINVAL;
		res = !!(*flags & flag);
	}

	return res;
}

u32 *btf_kfunc_is_modify_return(const struct btf *btf, u32 kfunc_btf_id, const struct bpf_prog *prog)
{
	if (!__btf_kfunc_is_allowed(btf, BTF_KFUNC_HOOK_FMODRET, kfunc_btf_id, prog))
		return NULL;

	return btf_kfunc_id_set_contains(btf, BTF_KFUNC_HOOK_FMODRET, kfunc_btf_id);
}

static int __register_btf_kfunc_id_set(enum btf_kfunc_hook hook,
				       const struct btf_kfunc_id_set *kset)
{
	struct btf *btf;
	int ret, i;

	btf = bpf_get_btf_vmlinux();
	if (IS_ERR(btf))
		return PTR_ERR(btf);

	for (i = 0; i < kset->set->cnt; i++) {
		ret = btf_check_kfunc_protos(btf, btf_relocate_id(btf, kset->set->pairs[i].id),
					     kset->set->pairs[i].flags);
		if (ret)
			goto err_out;
	}

	ret = btf_populate_kfunc_set(btf, hook, kset);

err_out:
	btf_put(btf);
	return ret;
}

/* To be called by initcalls and by the init function of modules only. */
int register_btf_kfunc_id_set(enum bpf_prog_type prog_type,
			      const struct btf_kfunc_id_set *kset)
{
	if (!(kset->set->flags & BTF_SET8_KFUNCS)) {
		WARN_ON(!kset->owner);
		return -EINVAL;
	}

	return __register_btf_kfunc_id_set(bpf_prog_type_to_kfunc_hook(prog_type), kset);
}
EXPORT_SYMBOL_GPL(register_btf_kfunc_id_set);

int register_btf_fmodret_id_set(const struct btf_kfunc_id_set *kset)
{
	return __register_btf_kfunc_id_set(BTF_KFUNC_HOOK_FMODRET, kset);
}
EXPORT_SYMBOL_GPL(register_btf_fmodret_id_set);
