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
		bpf_log(&env->log, "function expects only one referenced object but got %d\n",
			ref_obj->cnt);
		return -EINVAL;
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

/* KFA_* flags of an argument of a kfunc */
static u32 kfunc_arg_flags(const struct bpf_call_arg_meta *meta, int arg)
{
	return meta->kfunc_arg_flags[arg];
}

int bpf_add_kfunc_call(struct bpf_verifier_env *env, u32 func_id, u16 offset)
{
	struct bpf_call_arg_meta meta;
	struct btf_func_model func_model;
	struct bpf_kfunc_meta kfunc;
	int err, i;

	err = fetch_kfunc_meta(env, func_id, offset, &kfunc);
	if (err)
		return err;

	meta.kfunc_flags = kfunc.flags ? *kfunc.flags : 0;
	btf_kfunc_arg_flags(kfunc.btf, kfunc.id, meta.kfunc_arg_flags);

	for (i = 0; i < func_model.nr_args; i++) {
		if (kfunc_arg_flags(&meta, i) & KFA_NULLABLE)
			func_model.arg_flags[i] |= BTF_FMODEL_NULLABLE_ARG;
	}

	return gen_kfunc_arg_proto(env, &meta, &desc->proto);
}

static bool is_kfunc_arg_acquire(const struct bpf_call_arg_meta *meta, int arg)
{
	return kfunc_arg_flags(meta, arg) & KFA_ACQUIRE;
}

static bool is_kfunc_acquire(const struct bpf_call_arg_meta *meta)
{
	int i;

	for (i = 0; i < MAX_BPF_FUNC_ARGS; i++) {
		if (is_kfunc_arg_acquire(meta, i))
			return true;
	}

	return meta->kfunc_flags & KF_ACQUIRE;
}

/* Only support release referenced argument passed by register */
static int kfunc_release_regno(const struct bpf_call_arg_meta *meta)
{
	int i;

	for (i = 0; i < MAX_BPF_FUNC_REG_ARGS; i++) {
		if (kfunc_arg_flags(meta, i) & KFA_RELEASE)
			return BPF_REG_1 + i;
	}

	return meta->kfunc_flags & KF_RELEASE ? BPF_REG_1 : 0;
}

static bool is_kfunc_arg_rcu(const struct bpf_call_arg_meta *meta, int arg)
{
	return meta->kfunc_flags & KF_RCU || kfunc_arg_flags(meta, arg) & KFA_RCU;
}

/* Annotated by either a flag of the argument or a suffix of its name */
static bool is_kfunc_arg_annotated(const struct bpf_call_arg_meta *meta, int arg, u32 flag,
				   const char *suffix)
{
	return kfunc_arg_flags(meta, arg) & flag ||
	       btf_param_match_suffix(meta->btf, &btf_params(meta->func_proto)[arg], suffix);
}

/*
 * A constant, and an argument that is not checked, are not taken for a size,
 * so nobody would check the memory before them.
 */
static bool is_kfunc_arg_annotated_size(const struct bpf_call_arg_meta *meta,
					int arg, u32 flag, const char *suffix)
{
	return is_kfunc_arg_annotated(meta, arg, flag, suffix) &&
	       !is_kfunc_arg_annotated(meta, arg, KFA_CONST, "__k") &&
	       !is_kfunc_arg_annotated(meta, arg, KFA_IGN, "__ign");
}

static bool is_kfunc_arg_mem_size(const struct bpf_call_arg_meta *meta, int arg)
{
	const struct btf_type *t;

	t = btf_type_skip_modifiers(meta->btf, btf_params(meta->func_proto)[arg].type, NULL);
	if (!btf_type_is_scalar(t))
		return false;

	return is_kfunc_arg_annotated_size(meta, arg, KFA_SZ, "__sz");
}

static bool is_kfunc_arg_const_mem_size(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated_size(meta, arg, KFA_CONST_SZ, "__szk");
}

static bool is_kfunc_arg_constant(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_CONST, "__k");
}

static bool is_kfunc_arg_ignore(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_IGN, "__ign");
}

static bool is_kfunc_arg_uninit(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_UNINIT, "__uninit");
}

static bool is_kfunc_arg_nullable(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_NULLABLE, "__nullable") ||
	       btf_param_match_suffix(meta->btf, &btf_params(meta->func_proto)[arg], "__arena");
}

static bool is_kfunc_arg_const_str(const struct bpf_call_arg_meta *meta, int arg)
{
	return is_kfunc_arg_annotated(meta, arg, KFA_STR, "__str");
}

static int
get_kfunc_arg_type(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
		   const struct btf_param *args, int arg, int nargs)
{
	if (is_kfunc_arg_constant(meta, arg))
		return KF_ARG_CONST;
	if (arg + 1 < nargs &&
	    (is_kfunc_arg_mem_size(meta, arg + 1) ||
	     is_kfunc_arg_const_mem_size(meta, arg + 1)))
		return KF_ARG_PTR_TO_MEM;
	if (is_kfunc_arg_const_str(meta, arg))
		return KF_ARG_PTR_TO_CONST_STR;
	return is_kfunc_arg_nullable(meta, arg) ? PTR_MAYBE_NULL : 0;
}

static int process_kf_arg_ptr_to_btf_id(struct bpf_verifier_env *env,
					struct bpf_reg_state *reg,
					struct bpf_call_arg_meta *meta,
					int arg, argno_t argno)
{
	const struct btf_type *reg_ref_t;
	bool release = reg_from_argno(argno) == meta->release_regno;
	bool strict_type_match = false;

	if ((release && reg_is_referenced(env, reg)) ||
	    btf_type_ids_nocast_alias(&env->log, reg_btf, reg_ref_id, meta->btf, ref_id))
		strict_type_match = true;

	WARN_ON_ONCE(release && !tnum_is_const(reg->var_off));
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

static bool is_kfunc_uninit(const struct bpf_call_arg_meta *meta, int arg)
{
	return kfunc_arg_flags(meta, arg) & KFA_UNINIT ||
	       is_kfunc_arg_uninit(meta, arg);
}

/*
 * How a kfunc accesses the memory in an argument. It reads without a fixup, so
 * memory that may fault is not taken for read-only memory here, although
 * programs can read it.
 */
static u32 kfunc_arg_access(struct bpf_call_arg_meta *meta, int arg,
			    const struct bpf_reg_state *reg)
{
	bool may_fault = base_type(reg->type) == PTR_TO_BTF_ID || reg->type & PTR_UNTRUSTED;

	/* As for helpers, only one argument is uninitialized memory */
	if (is_kfunc_uninit(meta, arg) && arg < MAX_BPF_FUNC_REG_ARGS && !meta->arg_raw_mem.regno) {
		meta->arg_raw_mem.regno = BPF_REG_1 + arg;
		return BPF_WRITE;
	}

	if (kfunc_arg_flags(meta, arg) & KFA_RDONLY && !may_fault)
		return BPF_READ;

	return BPF_READ | BPF_WRITE;
}

static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
			    int insn_idx)
{
	for (i = 0; i < nargs; i++) {
		int regno = reg_from_argno(argno);

		if (is_kfunc_arg_ignore(meta, i))
			continue;

		if (reg->type != PTR_TO_STACK)
			verbose(env, "%s: not the stack\n", meta->func_name);

		switch (base_type(kf_arg_type)) {
		case KF_ARG_PTR_TO_BTF_ID:
			if (!is_trusted_reg(env, reg)) {
				if (!is_kfunc_arg_rcu(meta, i)) {
					verbose(env, "%s must be referenced or trusted\n",
						reg_arg_name(env, argno));
					return -EINVAL;
				}
			}
			break;
		case KF_ARG_PTR_TO_DYNPTR:
			if (is_kfunc_uninit(meta, i))
				dynptr_arg_type |= MEM_UNINIT;

			if (regno == meta->release_regno)
				dynptr_arg_type |= OBJ_RELEASE;

			if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_from_skb]) {
				dynptr_arg_type |= DYNPTR_TYPE_SKB;
			} else if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_file_discard]) {
				dynptr_arg_type |= DYNPTR_TYPE_FILE;
			}
			break;
		case KF_ARG_PTR_TO_MEM:
			if (kf_arg_type & MEM_FIXED_SIZE) {
				ret = check_mem_reg(env, reg, argno, type_size,
						    kfunc_arg_access(meta, i, reg),
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
						 kfunc_arg_access(meta, i - 1, buff_reg),
						 true, meta, &failure);
			if (ret < 0)
				return ret;
			break;
		}
		}
	}

	return 0;
}

/*
 * Mark the slots of uninitialized memory as written. This comes after the check
 * of all arguments, so that another one can't have the same memory as input.
 */
static int mark_kfunc_uninit_mem(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
				 int insn_idx)
{
	int i, err, regno = meta->arg_raw_mem.regno;
	struct bpf_reg_state *regs = cur_regs(env);

	for (i = 0; i < meta->arg_raw_mem.size; i++) {
		err = check_mem_access(env, insn_idx, regs + regno, argno_from_reg(regno), i, BPF_B,
				       BPF_WRITE, -1, false, false);
		if (err)
			return err;
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
	btf_kfunc_arg_flags(kfunc.btf, kfunc.id, meta->kfunc_arg_flags);

	meta->release_regno = kfunc_release_regno(meta);

	return 0;
}

s64 bpf_kfunc_stack_access_bytes(struct bpf_verifier_env *env, struct bpf_insn *insn,
				 int arg, int insn_idx)
{
	struct bpf_call_arg_meta meta;

	if (arg + 1 < nargs &&
	    (is_kfunc_arg_annotated_size(&meta, arg + 1, KFA_SZ, "__sz") ||
	     is_kfunc_arg_annotated_size(&meta, arg + 1, KFA_CONST_SZ, "__szk")))
		return MAX_BPF_STACK;
	return is_kfunc_uninit(&meta, arg) ? -size : size;
}

/* What an argument refers to: for a dynptr, the one on the stack */
static struct bpf_reg_state *kfunc_arg_obj(struct bpf_verifier_env *env,
					   const struct bpf_call_arg_meta *meta, u32 arg)
{
	struct bpf_reg_state *reg = get_func_arg_reg(cur_func(env), cur_regs(env), arg);
	int spi;

	if (reg->type != PTR_TO_STACK ||
	    !is_kfunc_arg_dynptr(meta->btf, &btf_params(meta->func_proto)[arg]))
		return reg;

	spi = dynptr_get_spi(env, reg);
	return spi < 0 ? reg : &bpf_func(env, reg)->stack[spi].spilled_ptr;
}

/*
 * The kfunc may use its other arguments once it has released this one, so they
 * must not refer to the same object, nor to one that goes away with it.
 */
static int check_kfunc_release(struct bpf_verifier_env *env,
			       const struct bpf_call_arg_meta *meta)
{
	u32 i, id, nargs = btf_type_vlen(meta->func_proto), arg = meta->release_regno - 1;
	struct bpf_reg_state *obj = kfunc_arg_obj(env, meta, arg);

	if (bpf_register_is_null(obj))
		return 0;

	id = obj->id;
	if (is_kfunc_arg_dynptr(meta->btf, &btf_params(meta->func_proto)[arg])) {
		if (!dynptr_type_referenced(obj->dynptr.type)) {
			verbose(env, "release kfunc %s expects referenced dynptr passed to R%d\n",
				meta->func_name, meta->release_regno);
			return -EINVAL;
		}
		/* All clones have the reference as their parent */
		id = obj->parent_id;
	}

	for (i = 0; i < nargs; i++) {
		if (i == arg || is_kfunc_arg_implicit(meta, i))
			continue;

		obj = kfunc_arg_obj(env, meta, i);
		if (obj->id == id || obj->parent_id == id) {
			verbose(env, "kfunc %s releases R%d, which %s refers to\n",
				meta->func_name, meta->release_regno,
				reg_arg_name(env, argno_from_arg(i + 1)));
			return -EINVAL;
		}
	}

	return 0;
}

static int check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn,
			    int *insn_idx_p)
{
	struct bpf_call_arg_meta meta;

	err = check_kfunc_args(env, &meta, insn_idx);
	if (err < 0)
		return err;

	err = mark_kfunc_uninit_mem(env, &meta, insn_idx);
	if (err)
		return err;

	if (meta.release_regno) {
		const struct btf_param *arg = &btf_params(meta.func_proto)[meta.release_regno - 1];

		err = check_kfunc_release(env, &meta);
		if (err)
			return err;

		err = release_reg(env, &regs[meta.release_regno], false,
				  is_kfunc_arg_dynptr(meta.btf, arg));
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
