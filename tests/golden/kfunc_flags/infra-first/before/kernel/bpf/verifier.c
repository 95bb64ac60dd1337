// SPDX-License-Identifier: GPL-2.0
struct bpf_kfunc_meta {
	struct btf *btf;
	const u32 *flags;
	s32 id;
};

void bpf_log(struct bpf_verifier_log *log, const char *fmt, ...);
static argno_t argno_from_arg(u32 arg);
static int reg_from_argno(argno_t argno);
static struct bpf_func_state *cur_func(struct bpf_verifier_env *env);
static struct bpf_reg_state *cur_regs(struct bpf_verifier_env *env);
static struct bpf_func_state *bpf_func(struct bpf_verifier_env *env, const struct bpf_reg_state *reg);
static struct bpf_reg_state *get_func_arg_reg(struct bpf_func_state *caller,
					      struct bpf_reg_state *regs, int arg);
static bool bpf_register_is_null(struct bpf_reg_state *reg);
static bool is_kfunc_arg_implicit(const struct bpf_call_arg_meta *meta, u32 arg_idx);

static bool dynptr_type_referenced(enum bpf_dynptr_type type)
{
	return type == BPF_DYNPTR_TYPE_RINGBUF || type == BPF_DYNPTR_TYPE_FILE;
}

static int unmark_stack_slots_dynptr(struct bpf_verifier_env *env, struct bpf_reg_state *reg)
{
	struct bpf_func_state *state = bpf_func(env, reg);
	int spi;

	spi = dynptr_get_spi(env, reg);
	if (spi < 0)
		return spi;

	reg = &state->stack[spi].spilled_ptr;
	return release_reference(env, dynptr_type_referenced(reg->dynptr.type) ? reg->parent_id : reg->id);
}

static int validate_ref_obj(struct bpf_verifier_env *env, struct ref_obj_desc *ref_obj)
{
	if (ref_obj->cnt > 1) {
		verifier_bug(env, "function expects only one referenced object but got %d\n",
			     ref_obj->cnt);
		return -EFAULT;
	}

	return 0;
}

static int fetch_kfunc_meta(struct bpf_verifier_env *env,
			    s32 func_id,
			    s16 offset,
			    struct bpf_kfunc_meta *kfunc)
{
	u32 *kfunc_flags;

	kfunc_flags = btf_kfunc_flags(btf, func_id, env->prog);
	kfunc->btf = btf;
	kfunc->flags = kfunc_flags;

	return 0;
}

int bpf_add_kfunc_call(struct bpf_verifier_env *env, u32 func_id, u16 offset)
{
	struct bpf_call_arg_meta meta;
	struct btf_func_model func_model;
	struct bpf_kfunc_meta kfunc;
	int err;

	err = fetch_kfunc_meta(env, func_id, offset, &kfunc);
	if (err)
		return err;

	meta.kfunc_flags = kfunc.flags ? *kfunc.flags : 0;

	return gen_kfunc_arg_proto(env, &meta, &desc->proto);
}

static bool is_kfunc_acquire(struct bpf_call_arg_meta *meta)
{
	return meta->kfunc_flags & KF_ACQUIRE;
}

static bool is_kfunc_release(struct bpf_call_arg_meta *meta)
{
	return meta->kfunc_flags & KF_RELEASE;
}

static bool is_kfunc_rcu(struct bpf_call_arg_meta *meta)
{
	return meta->kfunc_flags & KF_RCU;
}

static bool is_kfunc_arg_mem_size(const struct btf *btf,
				  const struct btf_param *arg)
{
	const struct btf_type *t;

	t = btf_type_skip_modifiers(btf, arg->type, NULL);
	if (!btf_type_is_scalar(t))
		return false;

	return btf_param_match_suffix(btf, arg, "__sz");
}

static bool is_kfunc_arg_const_mem_size(const struct btf *btf,
					const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__szk");
}

static bool is_kfunc_arg_constant(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__k");
}

static bool is_kfunc_arg_ignore(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__ign");
}

static bool is_kfunc_arg_uninit(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__uninit");
}

static bool is_kfunc_arg_nullable(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__nullable") ||
	       btf_param_match_suffix(btf, arg, "__arena");
}

static bool is_kfunc_arg_const_str(const struct btf *btf, const struct btf_param *arg)
{
	return btf_param_match_suffix(btf, arg, "__str");
}

static int
get_kfunc_arg_type(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
		   const struct btf_param *args, int arg, int nargs)
{
	if (is_kfunc_arg_constant(meta->btf, &args[arg]))
		return KF_ARG_CONST;
	if (arg + 1 < nargs &&
	    (is_kfunc_arg_mem_size(meta->btf, &args[arg + 1]) ||
	     is_kfunc_arg_const_mem_size(meta->btf, &args[arg + 1])))
		return KF_ARG_PTR_TO_MEM;
	if (is_kfunc_arg_const_str(meta->btf, &args[arg]))
		return KF_ARG_PTR_TO_CONST_STR;
	return is_kfunc_arg_nullable(meta->btf, &args[arg]) ? PTR_MAYBE_NULL : 0;
}

static int process_kf_arg_ptr_to_btf_id(struct bpf_verifier_env *env,
					struct bpf_reg_state *reg,
					struct bpf_call_arg_meta *meta,
					int arg, argno_t argno)
{
	const struct btf_type *reg_ref_t;
	bool strict_type_match = false;

	if ((is_kfunc_release(meta) && reg_is_referenced(env, reg)) ||
	    btf_type_ids_nocast_alias(&env->log, reg_btf, reg_ref_id, meta->btf, ref_id))
		strict_type_match = true;

	WARN_ON_ONCE(is_kfunc_release(meta) && !tnum_is_const(reg->var_off));
	return 0;
}

static int check_stack_range_initialized(struct bpf_verifier_env *env, struct bpf_reg_state *reg,
					 argno_t argno, struct bpf_call_arg_meta *meta)
{
	bool raw_mode = meta && meta->arg_raw_mem.regno == reg_from_argno(argno);

	return raw_mode ? 0 : -EACCES;
}

static int check_mem_size_reg(struct bpf_verifier_env *env,
			      struct bpf_reg_state *mem_reg,
			      struct bpf_reg_state *size_reg, argno_t mem_argno,
			      argno_t size_argno, u32 access_type,
			      bool zero_size_allowed,
			      struct bpf_call_arg_meta *meta)
{
	return 0;
}

static int check_mem_reg(struct bpf_verifier_env *env, struct bpf_reg_state *reg,
			 argno_t argno, u32 mem_size, enum bpf_access_type access_type,
			 struct bpf_call_arg_meta *meta, bool *known_memory)
{
	return 0;
}

static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
			    int insn_idx)
{
	for (i = 0; i < nargs; i++) {
		int regno = reg_from_argno(argno);

		if (is_kfunc_arg_ignore(btf, &args[i]))
			continue;

		if (reg->type != PTR_TO_STACK)
			verbose(env, "%s: not the stack\n", meta->func_name);

		switch (base_type(kf_arg_type)) {
		case KF_ARG_PTR_TO_BTF_ID:
			if (!is_trusted_reg(env, reg)) {
				if (!is_kfunc_rcu(meta)) {
					verbose(env, "%s must be referenced or trusted\n",
						reg_arg_name(env, argno));
					return -EINVAL;
				}
			}
			break;
		case KF_ARG_PTR_TO_DYNPTR:
			if (is_kfunc_arg_uninit(btf, &args[i]))
				dynptr_arg_type |= MEM_UNINIT;

			if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_from_skb]) {
				dynptr_arg_type |= DYNPTR_TYPE_SKB;
			} else if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_file_discard]) {
				dynptr_arg_type |= DYNPTR_TYPE_FILE | OBJ_RELEASE;
			}
			break;
		case KF_ARG_PTR_TO_MEM:
			if (kf_arg_type & MEM_FIXED_SIZE) {
				ret = check_mem_reg(env, reg, argno, type_size, BPF_READ | BPF_WRITE,
						    meta, &known_memory);
				if (ret < 0)
					return ret;
			}
			break;
		case KF_ARG_MEM_SIZE:
		{
			struct bpf_reg_state *buff_reg = get_func_arg_reg(caller, regs, i - 1);
			struct bpf_reg_state *size_reg = reg;

			ret = check_mem_size_reg(env, buff_reg, size_reg, buff_argno, argno,
						 BPF_READ | BPF_WRITE, true, meta, &failure);
			if (ret < 0)
				return ret;
			break;
		}
		}
	}

	return 0;
}

int bpf_fetch_kfunc_arg_meta(struct bpf_verifier_env *env,
			     s32 func_id,
			     s16 offset,
			     struct bpf_call_arg_meta *meta)
{
	struct bpf_kfunc_meta kfunc;

	meta->btf = kfunc.btf;
	meta->kfunc_flags = *kfunc.flags;

	/* Only support release referenced argument passed by register */
	if (is_kfunc_release(meta))
		meta->release_regno = BPF_REG_1;

	return 0;
}

s64 bpf_kfunc_stack_access_bytes(struct bpf_verifier_env *env, struct bpf_insn *insn,
				 int arg, int insn_idx)
{
	struct bpf_call_arg_meta meta;

	if (arg + 1 < nargs &&
	    (btf_param_match_suffix(btf, &args[arg + 1], "__sz") ||
	     btf_param_match_suffix(btf, &args[arg + 1], "__szk")))
		return MAX_BPF_STACK;
	return is_kfunc_arg_uninit(btf, &args[arg]) ? -size : size;
}

static int check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn,
			    int *insn_idx_p)
{
	struct bpf_call_arg_meta meta;

	err = check_kfunc_args(env, &meta, insn_idx);
	if (err < 0)
		return err;

	if (meta.release_regno) {
		err = release_reg(env, &regs[meta.release_regno], false, !!meta.dynptr.id);
		if (err)
			return err;
	}
	return 0;
}

static int release_reg(struct bpf_verifier_env *env, struct bpf_reg_state *reg,
		       bool convert_rcu, bool release_dynptr)
{
	return 0;
}
