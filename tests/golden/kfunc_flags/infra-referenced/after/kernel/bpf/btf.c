// SPDX-License-Identifier: GPL-2.0
static union {
	const struct btf_type *t;
} bpf_ctx_convert;

/* KFA_* flags of the arguments of one kfunc; all of them fit into 16 bits */
struct btf_kfunc_arg_flags {
	u32 id;
	u16 flags[MAX_BPF_FUNC_ARGS];
};

struct btf_kfunc_arg_flags_tab {
	u32 cnt;
	struct btf_kfunc_arg_flags kfuncs[];
};

struct btf_kfunc_set_tab {
	struct btf_id_set8 *sets[BTF_KFUNC_HOOK_MAX];
	/* Only the kfuncs that have argument flags, the same for all hooks */
	struct btf_kfunc_arg_flags_tab *arg_flags;
};

static void btf_free_kfunc_set_tab(struct btf *btf)
{
	kfree(tab->arg_flags);
	kfree(tab);
}

static int btf_check_kfunc_protos(struct btf *btf, u32 func_id, u32 func_flags)
{
	return 0;
}

/* Where the flags of the arguments of the kfuncs in a set are */
static const struct btf_kfunc_args_ref *btf_kfunc_args_ref(const struct btf_id_set8 *set)
{
	/* This follows the pairs, whose number is unknown in an unresolved set */
	if (!set->cnt || !(set->flags & BTF_SET8_KFUNC_ARGS))
		return NULL;

	return (const void *)&set->pairs[set->cnt];
}

/* Return the record that follows args, or the first one if args is NULL */
static const struct btf_kfunc_args *btf_kfunc_args_next(const struct btf_id_set8 *set,
							const struct btf_kfunc_args *args)
{
	const struct btf_kfunc_args_ref *ref = btf_kfunc_args_ref(set);
	const void *pos, *end;

	if (!ref)
		return NULL;

	pos = (const void *)set + ref->off;
	end = pos + ref->size;
	if (args)
		pos = &args->flags[args->cnt];

	/* A record that isn't complete is none */
	if (end - pos < sizeof(*args))
		return NULL;
	args = pos;
	if (args->cnt > (end - pos - sizeof(*args)) / sizeof(args->flags[0]))
		return NULL;

	return args;
}

static const struct btf_kfunc_args *btf_kfunc_args_find(const struct btf_id_set8 *set, u32 id)
{
	const struct btf_kfunc_args *args = NULL;

	while ((args = btf_kfunc_args_next(set, args))) {
		if (args->id == id)
			return args;
	}

	return NULL;
}

/* Does the suffix of the argument's name say something else than these flags? */
static bool btf_is_kfunc_arg_contradicted(const struct btf *btf, const struct btf_param *param,
					  u32 flags)
{
	/* The suffixes that tell what an argument is, and the flags that go with them */
	static const struct {
		const char *suffix;
		u32 flags;
	} known[] = {
		{ "__ign", KFA_IGN },
		{ "__k", KFA_CONST },
		{ "__str", KFA_STR },
		{ "__sz", KFA_SZ },
		{ "__szk", KFA_CONST_SZ },
		{ "__uninit", KFA_UNINIT },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (flags & ~known[i].flags && btf_param_match_suffix(btf, param, known[i].suffix))
			return true;
	}

	return false;
}

static bool btf_is_kfunc_arg_struct(const struct btf *btf, const struct btf_type *t,
				    const char *name)
{
	return btf_type_is_struct(t) && !strcmp(btf_name_by_offset(btf, t->name_off), name);
}

/* Is this an object of the kernel, rather than a struct that the verifier knows by name? */
static bool btf_is_kfunc_arg_obj(const struct btf *btf, const struct btf_type *t)
{
	static const char * const special[] = {
		"bpf_dynptr",
	};
	const struct btf_member *member;
	const struct btf_type *ctx;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(special); i++) {
		if (btf_is_kfunc_arg_struct(btf, t, special[i]))
			return false;
	}

	if (!btf_type_is_struct(t) || !bpf_ctx_convert.t)
		return btf_type_is_struct(t);

	/* The context of programs, e.g. struct __sk_buff, is followed by the one of the kernel */
	for_each_member(i, bpf_ctx_convert.t, member) {
		ctx = btf_type_skip_modifiers(btf_vmlinux, member->type, NULL);
		if (i % 2 == 0 && btf_type_is_struct(ctx) &&
		    btf_is_kfunc_arg_struct(btf, t, btf_name_by_offset(btf_vmlinux, ctx->name_off)))
			return false;
	}

	return true;
}

/* Is the argument behind this one the size of its memory? */
static bool btf_is_kfunc_arg_sized(const struct btf *btf, const struct btf_type *proto,
				   const struct btf_kfunc_args *args, u32 i)
{
	const struct btf_param *size = &btf_params(proto)[i + 1];

	if (i + 1 >= btf_type_vlen(proto) ||
	    !btf_type_is_scalar(btf_type_skip_modifiers(btf, size->type, NULL)))
		return false;

	if (i + 1 < args->cnt && args->flags[i + 1] & (KFA_SZ | KFA_CONST_SZ))
		return true;

	return btf_param_match_suffix(btf, size, "__sz") ||
	       btf_param_match_suffix(btf, size, "__szk");
}

/* Is this a number or a struct of numbers? See __btf_type_is_scalar_struct() */
static bool btf_is_kfunc_arg_plain(const struct btf *btf, const struct btf_type *t, int depth)
{
	const struct btf_member *member;
	u32 i;

	if (!btf_type_is_struct(t) || depth > 3)
		return btf_type_is_scalar(t);

	for_each_member(i, t, member) {
		const struct btf_type *m = btf_type_skip_modifiers(btf, member->type, NULL);

		if (btf_type_is_array(m)) {
			if (!btf_array(m)->nelems)
				return false;
			m = btf_type_skip_modifiers(btf, btf_array(m)->type, NULL);
			if (!btf_type_is_scalar(m))
				return false;
		} else if (!btf_is_kfunc_arg_plain(btf, m, depth + 1)) {
			return false;
		}
	}

	return true;
}

/* Can the argument, a pointer, be one to memory of a program? */
static bool btf_is_kfunc_arg_mem(const struct btf *btf, const struct btf_type *proto,
				 const struct btf_kfunc_args *args, u32 i)
{
	const struct btf_type *t;

	t = btf_type_skip_modifiers(btf, btf_params(proto)[i].type, NULL);
	t = btf_type_skip_modifiers(btf, t->type, NULL);
	if (btf_type_is_void(t))
		return btf_is_kfunc_arg_sized(btf, proto, args, i);

	return btf_type_is_scalar(t) ||
	       (btf_is_kfunc_arg_obj(btf, t) && btf_is_kfunc_arg_plain(btf, t, 0));
}

static bool btf_is_kfunc_arg_const(const struct btf *btf, const struct btf_type *ptr)
{
	const struct btf_type *t = btf_type_by_id(btf, ptr->type);

	for (; btf_type_is_modifier(t); t = btf_type_by_id(btf, t->type)) {
		if (BTF_INFO_KIND(t->info) == BTF_KIND_CONST)
			return true;
	}

	return false;
}

static const char *btf_check_kfunc_scalar_arg(const struct btf *btf, const struct btf_type *proto,
					      const struct btf_kfunc_args *args, u32 i)
{
	const struct btf_param *params = btf_params(proto);

	if (!btf_type_is_scalar(btf_type_skip_modifiers(btf, params[i].type, NULL)))
		return "it is not a number";

	if (!is_power_of_2(args->flags[i]))
		return "these flags exclude each other";

	/* A size is that of the memory in the previous argument */
	if (args->flags[i] != KFA_CONST &&
	    (!i || args->flags[i - 1] & (KFA_IGN | KFA_STR) ||
	     !btf_type_is_ptr(btf_type_skip_modifiers(btf, params[i - 1].type, NULL)) ||
	     btf_is_kfunc_arg_contradicted(btf, &params[i - 1], KFA_UNINIT) ||
	     !btf_is_kfunc_arg_mem(btf, proto, args, i - 1)))
		return "it is not behind memory";

	return NULL;
}

/* Is the object that the kfunc returns of the same type as this argument? */
static bool btf_kfunc_returns_arg(const struct btf *btf, const struct btf_type *proto,
				  const struct btf_type *arg)
{
	const struct btf_type *ret = btf_type_skip_modifiers(btf, proto->type, NULL);
	u32 arg_id, ret_id;

	if (!btf_type_is_ptr(ret) || !btf_type_is_ptr(arg))
		return false;

	ret = btf_type_skip_modifiers(btf, ret->type, &ret_id);
	btf_type_skip_modifiers(btf, arg->type, &arg_id);
	return btf_type_is_struct(ret) && arg_id == ret_id;
}

/* Return what is wrong with the flags of argument i, NULL if they are all right */
static const char *btf_check_kfunc_arg(const struct btf *btf, const struct btf_type *proto,
				       u32 func_flags, const struct btf_kfunc_args *args, u32 i)
{
	const struct btf_param *param = &btf_params(proto)[i];
	u32 arg, flags = args->flags[i], alone = flags;
	const struct btf_type *ptr, *t;

	/* As in KF_RELEASE | KF_RCU, where the argument that is released is one of all */
	if (flags & KFA_RELEASE)
		alone &= ~KFA_RCU;

	/* Any pointer can be NULL */
	alone &= ~KFA_NULLABLE;

	/* An RCU pointer can be acquired */
	if (flags & KFA_RCU)
		alone &= ~KFA_ACQUIRE;

	if (hweight32(alone) > 1)
		return "these flags exclude each other";

	if (btf_is_kfunc_arg_contradicted(btf, param, alone))
		return "the suffix of its name says something else";

	/* For any type, but not with any other flag */
	if (flags & KFA_IGN)
		return flags == KFA_IGN ? NULL : "what is ignored has no other flag";

	ptr = btf_type_skip_modifiers(btf, param->type, NULL);
	if (flags & (KFA_CONST | KFA_SZ | KFA_CONST_SZ))
		return btf_check_kfunc_scalar_arg(btf, proto, args, i);

	if (!btf_type_is_ptr(ptr))
		return "it is not a pointer";

	t = btf_type_skip_modifiers(btf, ptr->type, NULL);
	if (flags & KFA_RELEASE) {
		if (func_flags & KF_RELEASE)
			return "KFA_RELEASE and KF_RELEASE";
		if (i >= MAX_BPF_FUNC_REG_ARGS)
			return "what is released has to be in a register";
		for (arg = 0; arg < i; arg++) {
			if (args->flags[arg] & KFA_RELEASE)
				return "another argument is released, too";
		}
		if (!btf_is_kfunc_arg_obj(btf, t) &&
		    !btf_param_match_suffix(btf, param, "__alloc"))
			return "it can't be released";
	}

	if (flags & KFA_RCU) {
		if (func_flags & KF_RCU)
			return "KFA_RCU and KF_RCU";
		/* Memory that has the flag can't be NULL */
		if (btf_type_is_struct(t) && !btf_is_kfunc_arg_obj(btf, t))
			return "it is not a pointer to a kernel object";
	}

	/* The prototype has to say that it is only read, too */
	if (flags & KFA_RDONLY &&
	    !(btf_is_kfunc_arg_mem(btf, proto, args, i) && btf_is_kfunc_arg_const(btf, ptr)))
		return "it is not a pointer to const memory";

	/* All of the memory is written, which a program has in a register */
	if (flags & KFA_UNINIT) {
		if (i >= MAX_BPF_FUNC_REG_ARGS)
			return "uninitialized memory has to be in a register";
		if (!btf_is_kfunc_arg_mem(btf, proto, args, i) &&
		    !btf_is_kfunc_arg_struct(btf, t, "bpf_dynptr"))
			return "it is neither memory nor a dynptr";
		if (btf_is_kfunc_arg_const(btf, ptr))
			return "what is const is not written";
	}

	if (flags & KFA_NULLABLE && btf_param_match_suffix(btf, param, "__ign"))
		return "what is ignored has no other flag";

	if (flags & KFA_STR && strcmp(btf_name_by_offset(btf, t->name_off), "char"))
		return "it is not a pointer to char";

	/* The reference that is returned is one on this very object */
	if (flags & KFA_ACQUIRE) {
		if (func_flags & KF_ACQUIRE)
			return "KFA_ACQUIRE and KF_ACQUIRE";
		if (!btf_kfunc_returns_arg(btf, proto, ptr))
			return "the kfunc returns something else";
		for (arg = 0; arg < i; arg++) {
			if (args->flags[arg] & KFA_ACQUIRE)
				return "another argument is returned, too";
		}
	}

	return NULL;
}

static int btf_check_kfunc_arg_flags(const struct btf *btf, u32 func_id, u32 func_flags,
				     const struct btf_kfunc_args *args)
{
	const struct btf_type *func = btf_type_by_id(btf, func_id);
	const struct btf_type *proto = btf_type_by_id(btf, func->type);
	u32 i;

	for (i = 0; i < args->cnt; i++) {
		u32 flags = args->flags[i];
		const char *wrong = NULL;

		if (i >= MAX_BPF_FUNC_ARGS || (flags && i >= btf_type_vlen(proto)))
			wrong = "there is no such argument";
		else if (flags & ~KFA_VALID_FLAGS)
			wrong = "a flag is unknown";

		if (flags && !wrong)
			wrong = btf_check_kfunc_arg(btf, proto, func_flags, args, i);

		if (wrong) {
			pr_err("kfunc %s (id: %d) has invalid flags 0x%x of argument %u: %s\n",
			       btf_name_by_offset(btf, func->name_off), func_id, flags, i, wrong);
			return -EINVAL;
		}
	}

	return 0;
}

static struct btf_kfunc_arg_flags *btf_kfunc_arg_flags_find(const struct btf *btf,
							    u32 kfunc_btf_id)
{
	struct btf_kfunc_arg_flags_tab *tab;

	tab = btf->kfunc_set_tab ? btf->kfunc_set_tab->arg_flags : NULL;
	if (!tab)
		return NULL;

	/* Only the first u32 of an entry is compared */
	BUILD_BUG_ON(offsetof(struct btf_kfunc_arg_flags, id) != 0);
	return bsearch(&kfunc_btf_id, tab->kfuncs, tab->cnt, sizeof(tab->kfuncs[0]),
		       btf_id_cmp_func);
}

static bool btf_kfunc_is_registered(const struct btf *btf, u32 kfunc_btf_id)
{
	const struct btf_kfunc_set_tab *tab = btf->kfunc_set_tab;
	int hook;

	for (hook = 0; tab && hook < ARRAY_SIZE(tab->sets); hook++) {
		/* Not called by programs, see btf_check_kfunc_args() */
		if (hook == BTF_KFUNC_HOOK_FMODRET)
			continue;

		if (tab->sets[hook] && btf_id_set8_contains(tab->sets[hook], kfunc_btf_id))
			return true;
	}

	return false;
}

static int btf_check_kfunc_args(const struct btf *btf, enum btf_kfunc_hook hook,
				const struct btf_id_set8 *set)
{
	const struct btf_kfunc_args_ref *ref = btf_kfunc_args_ref(set);
	const struct btf_kfunc_args *args = NULL;
	u16 flags[MAX_BPF_FUNC_ARGS];
	u32 i, arg, size = 0;
	int err;

	/* Programs do not call these functions, but attach to them */
	if (hook == BTF_KFUNC_HOOK_FMODRET) {
		if (!ref || !ref->size)
			return 0;

		pr_err("a set of fmodret functions of %s has flags of arguments\n", btf->name);
		return -EINVAL;
	}

	while ((args = btf_kfunc_args_next(set, args))) {
		const u32 *pair = btf_id_set8_contains(set, args->id);
		u32 id = btf_relocate_id(btf, args->id);
		const struct btf_type *t = btf_type_by_id(btf, id);

		/* Of a kfunc that is not in this set, or in it twice */
		if (!pair || btf_kfunc_args_find(set, args->id) != args) {
			pr_err("kfunc %s (id: %d) has unexpected flags of arguments\n",
			       t ? btf_name_by_offset(btf, t->name_off) : "?", id);
			return -EINVAL;
		}

		err = btf_check_kfunc_arg_flags(btf, id, pair[1], args);
		if (err)
			return err;

		size += struct_size(args, flags, args->cnt);
	}

	if (ref && size != ref->size) {
		pr_err("a set of kfuncs of %s has a record of argument flags that is cut off\n",
		       btf->name);
		return -EINVAL;
	}

	/* The flags of the arguments do not depend on the set the kfunc is in */
	for (i = 0; i < set->cnt; i++) {
		u32 id = btf_relocate_id(btf, set->pairs[i].id);

		if (!btf_kfunc_is_registered(btf, id))
			continue;

		args = btf_kfunc_args_find(set, set->pairs[i].id);
		btf_kfunc_arg_flags(btf, id, flags);
		for (arg = 0; arg < ARRAY_SIZE(flags); arg++) {
			if (flags[arg] == (args && arg < args->cnt ? args->flags[arg] : 0))
				continue;

			pr_err("kfunc %s (id: %d) has inconsistent flags of argument %u\n",
			       btf_name_by_offset(btf, btf_type_by_id(btf, id)->name_off), id,
			       arg);
			return -EINVAL;
		}
	}

	return 0;
}

static int btf_populate_kfunc_arg_flags(struct btf *btf, const struct btf_id_set8 *set)
{
	struct btf_kfunc_set_tab *tab = btf->kfunc_set_tab;
	const struct btf_kfunc_args *args = NULL;
	struct btf_kfunc_arg_flags_tab *arg_flags;
	struct btf_kfunc_arg_flags *kfunc;
	u32 i, cnt, add_cnt = 0;

	while ((args = btf_kfunc_args_next(set, args))) {
		if (!btf_kfunc_arg_flags_find(btf, btf_relocate_id(btf, args->id)))
			add_cnt++;
	}

	if (!add_cnt)
		return 0;

	cnt = tab->arg_flags ? tab->arg_flags->cnt : 0;
	arg_flags = krealloc(tab->arg_flags, struct_size(arg_flags, kfuncs, cnt + add_cnt),
			     GFP_KERNEL | __GFP_NOWARN);
	if (!arg_flags)
		return -ENOMEM;

	arg_flags->cnt = cnt;
	tab->arg_flags = arg_flags;
	kfunc = &arg_flags->kfuncs[cnt];

	while ((args = btf_kfunc_args_next(set, args))) {
		u32 id = btf_relocate_id(btf, args->id);

		if (btf_kfunc_arg_flags_find(btf, id))
			continue;

		memset(kfunc, 0, sizeof(*kfunc));
		kfunc->id = id;
		for (i = 0; i < args->cnt; i++)
			kfunc->flags[i] = args->flags[i];
		kfunc++;
	}

	arg_flags->cnt += add_cnt;
	sort(arg_flags->kfuncs, arg_flags->cnt, sizeof(arg_flags->kfuncs[0]), btf_id_cmp_func,
	     NULL);

	return 0;
}

static int btf_populate_kfunc_set(struct btf *btf, enum btf_kfunc_hook hook,
				  const struct btf_kfunc_id_set *kset)
{
	struct btf_id_set8 *set;
	int ret;

	ret = btf_populate_kfunc_arg_flags(btf, add_set);
	if (ret)
		goto end;

	set = krealloc(tab->sets[hook],
		       offsetof(struct btf_id_set8, pairs[set_cnt + add_set->cnt]),
		       GFP_KERNEL | __GFP_NOWARN);
	return 0;
end:
	btf_free_kfunc_set_tab(btf);
	return ret;
}

static u32 *__btf_kfunc_id_set_contains(const struct btf *btf,
					enum btf_kfunc_hook hook,
					u32 kfunc_btf_id,
					const struct bpf_prog *prog)
{
	return NULL;
}

u32 *btf_kfunc_id_set_contains(const struct btf *btf,
			       u32 kfunc_btf_id,
			       const struct bpf_prog *prog)
{
	return __btf_kfunc_id_set_contains(btf, hook, kfunc_btf_id, prog);
}

/*
 * Copy the KFA_* flags of the MAX_BPF_FUNC_ARGS arguments of a kfunc, which are
 * 0 if none of them has any. The table that they are in moves when a set is
 * registered, so no pointer into it is given away. The caution above applies.
 */
void btf_kfunc_arg_flags(const struct btf *btf, u32 kfunc_btf_id, u16 *flags)
{
	struct btf_kfunc_arg_flags *kfunc = btf_kfunc_arg_flags_find(btf, kfunc_btf_id);

	if (kfunc)
		memcpy(flags, kfunc->flags, sizeof(kfunc->flags));
	else
		memset(flags, 0, sizeof(kfunc->flags));
}

static int __register_btf_kfunc_id_set(enum btf_kfunc_hook hook,
				       const struct btf_kfunc_id_set *kset)
{
	int ret;

	ret = btf_check_kfunc_args(btf, hook, kset->set);
	if (ret)
		goto err_out;

	ret = btf_populate_kfunc_set(btf, hook, kset);

err_out:
	return ret;
}
