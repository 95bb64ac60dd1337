// SPDX-License-Identifier: GPL-2.0
struct bpf_kfunc_call_arg_meta {
	struct btf *btf;
	u32 kfunc_flags;
	u16 kfunc_arg_flags[MAX_BPF_FUNC_ARGS];
	const struct btf_type *func_proto;
};

/* KFA_* flags of an argument of a kfunc */
static u32 kfunc_arg_flags(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return meta->kfunc_arg_flags[arg];
}

static bool is_kfunc_arg_acquire(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return kfunc_arg_flags(meta, arg) & KFA_ACQUIRE;
}

static bool is_kfunc_acquire(const struct bpf_kfunc_call_arg_meta *meta)
{
	int i;

	for (i = 0; i < MAX_BPF_FUNC_ARGS; i++) {
		if (is_kfunc_arg_acquire(meta, i))
			return true;
	}

	return meta->kfunc_flags & KF_ACQUIRE;
}

static bool kfunc_has_arg_flag(const struct bpf_kfunc_call_arg_meta *meta, u32 flag)
{
	int i;

	for (i = 0; i < MAX_BPF_FUNC_REG_ARGS; i++) {
		if (kfunc_arg_flags(meta, i) & flag)
			return true;
	}

	return false;
}

static bool is_kfunc_release(const struct bpf_kfunc_call_arg_meta *meta)
{
	return meta->kfunc_flags & KF_RELEASE || kfunc_has_arg_flag(meta, KFA_RELEASE);
}

/* KF_RELEASE is about the only argument that is referenced */
static bool is_kfunc_arg_release(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return meta->kfunc_flags & KF_RELEASE || kfunc_arg_flags(meta, arg) & KFA_RELEASE;
}

static bool is_kfunc_trusted_args(struct bpf_kfunc_call_arg_meta *meta)
{
	return (meta->kfunc_flags & KF_TRUSTED_ARGS) || is_kfunc_release(meta);
}

static bool is_kfunc_rcu(const struct bpf_kfunc_call_arg_meta *meta)
{
	return meta->kfunc_flags & KF_RCU || kfunc_has_arg_flag(meta, KFA_RCU);
}

static bool is_kfunc_arg_rcu(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return meta->kfunc_flags & KF_RCU || kfunc_arg_flags(meta, arg) & KFA_RCU;
}

/* Annotated by either a flag of the argument or a suffix of its name */
static bool is_kfunc_arg_annotated(const struct bpf_kfunc_call_arg_meta *meta, int arg, u32 flag,
				   const char *suffix)
{
	return kfunc_arg_flags(meta, arg) & flag ||
	       btf_param_match_suffix(meta->btf, &btf_params(meta->func_proto)[arg], suffix);
}

/*
 * A constant, and an argument that is not checked, are not taken for a size,
 * so nobody would check the memory before them.
 */
static bool is_kfunc_arg_annotated_size(const struct bpf_kfunc_call_arg_meta *meta,
					int arg, u32 flag, const char *suffix)
{
	return is_kfunc_arg_annotated(meta, arg, flag, suffix) &&
	       !is_kfunc_arg_annotated(meta, arg, KFA_CONST, "__k") &&
	       !is_kfunc_arg_annotated(meta, arg, KFA_IGN, "__ign");
}

static bool is_kfunc_arg_mem_size(const struct bpf_kfunc_call_arg_meta *meta, int arg,
				  const struct bpf_reg_state *reg)
{
	const struct btf_type *t;

	t = btf_type_skip_modifiers(meta->btf, btf_params(meta->func_proto)[arg].type, NULL);
	if (!btf_type_is_scalar(t) || reg->type != SCALAR_VALUE)
		return false;

	return is_kfunc_arg_annotated_size(meta, arg, KFA_SZ, "__sz");
}

static bool is_kfunc_arg_const_mem_size(const struct bpf_kfunc_call_arg_meta *meta, int arg,
					const struct bpf_reg_state *reg)
{
	return reg->type == SCALAR_VALUE && is_kfunc_arg_annotated_size(meta, arg, KFA_CONST_SZ, "__szk");
}

static bool is_kfunc_arg_optional(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__opt");
}

static bool is_kfunc_arg_constant(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_CONST, "__k");
}

static bool is_kfunc_arg_ignore(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_IGN, "__ign");
}

static bool is_kfunc_arg_uninit(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_UNINIT, "__uninit");
}

static bool is_kfunc_arg_nullable(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_NULLABLE, "__nullable");
}

static bool is_kfunc_arg_const_str(const struct bpf_kfunc_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_STR, "__str");
}

static int process_kf_arg_ptr_to_btf_id(struct bpf_verifier_env *env,
					struct bpf_reg_state *reg,
					struct bpf_kfunc_call_arg_meta *meta,
					int argno)
{
	bool strict_type_match = false;

	if ((is_kfunc_arg_release(meta, argno) && reg->ref_obj_id) ||
	    btf_type_ids_nocast_alias(&env->log, reg_btf, reg_ref_id, meta->btf, ref_id))
		strict_type_match = true;

	WARN_ON_ONCE(is_kfunc_arg_release(meta, argno) &&
		     (reg->off || !tnum_is_const(reg->var_off) ||
		      reg->var_off.value));
	return 0;
}

static int check_mem_reg(struct bpf_verifier_env *env, struct bpf_reg_state *reg,
			 u32 regno, u32 mem_size, u32 access_type)
{
	int err;

	err = check_helper_mem_access(env, regno, mem_size, BPF_READ, true, NULL);
	if (!err && access_type & BPF_WRITE)
		err = check_helper_mem_access(env, regno, mem_size, BPF_WRITE, true, NULL);

	return err;
}

static int check_kfunc_mem_size_reg(struct bpf_verifier_env *env, struct bpf_reg_state *reg,
				    u32 regno, u32 access_type)
{
	int err;

	err = check_mem_size_reg(env, reg, regno, BPF_READ, true, &meta);
	if (!err && access_type & BPF_WRITE)
		err = check_mem_size_reg(env, reg, regno, BPF_WRITE, true, &meta);

	return err;
}

static int btf_check_func_arg_match(struct bpf_verifier_env *env, struct bpf_reg_state *regs)
{
	if (check_mem_reg(env, reg, regno, arg->mem_size, BPF_READ | BPF_WRITE))
		return -EINVAL;
	return 0;
}

/*
 * How a kfunc accesses the memory in an argument. It reads without a fixup, so
 * memory that may fault is not taken for read-only memory here, although
 * programs can read it.
 */
static u32 kfunc_arg_access(const struct bpf_kfunc_call_arg_meta *meta, int arg,
			    const struct bpf_reg_state *reg)
{
	bool may_fault = base_type(reg->type) == PTR_TO_BTF_ID || reg->type & PTR_UNTRUSTED;

	if (kfunc_arg_flags(meta, arg) & KFA_RDONLY && !may_fault)
		return BPF_READ;

	return BPF_READ | BPF_WRITE;
}

static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_kfunc_call_arg_meta *meta,
			    int insn_idx)
{
	for (i = 0; i < nargs; i++) {
		if (is_kfunc_arg_ignore(meta, i))
			continue;

		if ((is_kfunc_trusted_args(meta) || is_kfunc_rcu(meta)) &&
		    (register_is_null(reg) || type_may_be_null(reg->type)) &&
			!is_kfunc_arg_nullable(meta, i)) {
			verbose(env, "Possibly NULL pointer passed to trusted arg%d\n", i);
			return -EACCES;
		}

		if (reg->ref_obj_id) {
			if (meta->kfunc_flags & KF_RELEASE && meta->ref_obj_id) {
				verbose(env, "verifier internal error: more than one arg with ref_obj_id R%d %u %u\n",
					regno, reg->ref_obj_id,
					meta->ref_obj_id);
				return -EFAULT;
			}
			meta->ref_obj_id = reg->ref_obj_id;
			if (is_kfunc_arg_release(meta, i))
				meta->release_regno = regno;
		}

		switch (kf_arg_type) {
		case KF_ARG_PTR_TO_BTF_ID:
			if (!is_kfunc_trusted_args(meta) && !is_kfunc_arg_rcu(meta, i))
				break;

			if (!is_trusted_reg(reg)) {
				if (!is_kfunc_arg_rcu(meta, i)) {
					verbose(env, "R%d must be referenced or trusted\n", regno);
					return -EINVAL;
				}
			}
			fallthrough;
		case KF_ARG_PTR_TO_MEM:
			break;
		}

		if (is_kfunc_arg_release(meta, i) && reg->ref_obj_id)
			arg_type |= OBJ_RELEASE;

		switch (kf_arg_type) {
		case KF_ARG_PTR_TO_MEM:
			ret = check_mem_reg(env, reg, regno, type_size,
					    kfunc_arg_access(meta, i, reg));
			if (ret < 0)
				return ret;
			break;
		case KF_ARG_PTR_TO_MEM_SIZE:
		{
			struct bpf_reg_state *size_reg = &regs[regno + 1];
			const struct btf_param *buff_arg = &args[i];

			if (!register_is_null(reg) || !is_kfunc_arg_optional(meta->btf, buff_arg)) {
				ret = check_kfunc_mem_size_reg(env, size_reg, regno + 1,
							       kfunc_arg_access(meta, i, reg));
				if (ret < 0)
					return ret;
			}

			if (is_kfunc_arg_const_mem_size(meta, i + 1, size_reg))
				meta->arg_constant.found = true;
			break;
		}
		}
	}

	if (is_kfunc_release(meta) && !meta->release_regno) {
		verbose(env, "release kernel function %s expects refcounted PTR_TO_BTF_ID\n",
			func_name);
		return -EINVAL;
	}

	return 0;
}

static int fetch_kfunc_meta(struct bpf_verifier_env *env,
			    struct bpf_insn *insn,
			    struct bpf_kfunc_call_arg_meta *meta,
			    const char **kfunc_name)
{
	u32 func_id, *kfunc_flags;

	kfunc_flags = btf_kfunc_id_set_contains(desc_btf, func_id, env->prog);
	if (!kfunc_flags) {
		return -EACCES;
	}

	meta->btf = desc_btf;
	meta->kfunc_flags = *kfunc_flags;
	btf_kfunc_arg_flags(desc_btf, func_id, meta->kfunc_arg_flags);
	meta->func_proto = func_proto;

	return 0;
}

static struct bpf_reg_state *cur_regs(struct bpf_verifier_env *env);

/*
 * The kfunc may use its other arguments once it has released this one, so they
 * must not refer to the same object.
 */
static int check_kfunc_release(struct bpf_verifier_env *env,
			       const struct bpf_kfunc_call_arg_meta *meta)
{
	u32 i, nargs = btf_type_vlen(meta->func_proto);
	struct bpf_reg_state *regs = cur_regs(env);

	for (i = BPF_REG_1; i <= nargs; i++) {
		if (i != meta->release_regno &&
		    regs[i].ref_obj_id == regs[meta->release_regno].ref_obj_id) {
			verbose(env, "kfunc %s releases R%d, which R%d refers to\n",
				meta->func_name, meta->release_regno, i);
			return -EINVAL;
		}
	}

	return 0;
}

static int check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn,
			    int *insn_idx_p)
{
	struct bpf_kfunc_call_arg_meta meta;

	if (meta.release_regno) {
		err = check_kfunc_release(env, &meta);
		if (err)
			return err;

		err = release_reference(env, regs[meta.release_regno].ref_obj_id);
		if (err)
			return err;
	}
	return 0;
}
