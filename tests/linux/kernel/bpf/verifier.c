// SPDX-License-Identifier: GPL-2.0-only
/* What a program may pass to a kfunc. */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#define BPF_DYNPTR_SIZE 16
#define MAX_BPF_STACK 512
#define S64_MIN (-0x7fffffffffffffffLL - 1)

struct bpf_kfunc_meta {
	struct btf *btf;
	const struct btf_type *proto;
	const char *name;
	const u32 *flags;
	s32 id;
};

struct btf *btf_vmlinux;

typedef struct argno {
	int argno;
} argno_t;

enum kfunc_ptr_arg_type {
	KF_ARG_ANYTHING = 1,
	KF_ARG_CONST,
	KF_ARG_MEM_SIZE,
	KF_ARG_CONST_MEM_SIZE,
	KF_ARG_PTR_TO_CTX,
	KF_ARG_PTR_TO_DYNPTR,
	KF_ARG_PTR_TO_ITER,
	KF_ARG_PTR_TO_CONST_STR,
	KF_ARG_PTR_TO_MEM,
	KF_ARG_PTR_TO_BTF_ID,
};

enum special_kfunc_type {
	KF_bpf_cast_to_kern_ctx,
	KF_bpf_rdonly_cast,
	KF_bpf_dynptr_from_skb,
	KF_bpf_dynptr_file_discard,
};

BTF_ID_LIST(special_kfunc_list)
BTF_ID(func, bpf_cast_to_kern_ctx)
BTF_ID(func, bpf_rdonly_cast)
BTF_ID(func, bpf_dynptr_from_skb)
BTF_ID(func, bpf_dynptr_file_discard)

static int validate_ref_obj(struct bpf_verifier_env *env, struct ref_obj_desc *ref_obj)
{
	if (ref_obj->cnt > 1) {
		verifier_bug(env, "function expects only one referenced object but got %d\n",
			     ref_obj->cnt);
		return -EFAULT;
	}

	return 0;
}

static struct bpf_func_state *cur_func(struct bpf_verifier_env *env)
{
	return &env->frame;
}

static struct bpf_reg_state *cur_regs(struct bpf_verifier_env *env)
{
	return cur_func(env)->regs;
}

static struct bpf_func_state *bpf_func(struct bpf_verifier_env *env,
				       const struct bpf_reg_state *reg)
{
	return &env->frame;
}

static struct bpf_reg_state *get_func_arg_reg(struct bpf_func_state *caller,
					      struct bpf_reg_state *regs, int arg)
{
	if (arg < MAX_BPF_FUNC_REG_ARGS)
		return &regs[arg + 1];

	return &caller->stack_arg_regs[arg - MAX_BPF_FUNC_REG_ARGS];
}

static int dynptr_get_spi(struct bpf_verifier_env *env, struct bpf_reg_state *reg)
{
	return reg->var_off.value < 8 ? reg->var_off.value : -EINVAL;
}

static bool dynptr_type_referenced(enum bpf_dynptr_type type)
{
	return type == BPF_DYNPTR_TYPE_FILE;
}

static enum bpf_dynptr_type dynptr_reg_type(struct bpf_verifier_env *env, struct bpf_reg_state *reg)
{
	int spi = dynptr_get_spi(env, reg);

	return spi < 0 ? BPF_DYNPTR_TYPE_INVALID : bpf_func(env, reg)->stack[spi].spilled_ptr.dynptr.type;
}

static argno_t argno_from_arg(u32 arg)
{
	return (argno_t){ .argno = arg };
}

/* The register of an argument, -1 if it is on the stack. */
static int reg_from_argno(argno_t argno)
{
	return argno.argno <= MAX_BPF_FUNC_REG_ARGS ? argno.argno : -1;
}

static const char *reg_arg_name(struct bpf_verifier_env *env, argno_t argno)
{
	static const char * const names[] = { "R0", "R1", "R2", "R3", "R4", "R5" };

	return reg_from_argno(argno) > 0 ? names[argno.argno] : "stack argument";
}

static int base_type(int type)
{
	return type & 0xff;
}

static bool type_may_be_null(int type)
{
	return type & PTR_MAYBE_NULL;
}

static bool bpf_register_is_null(const struct bpf_reg_state *reg)
{
	return reg->type == SCALAR_VALUE && !reg->var_off.value && !reg->var_off.mask;
}

static bool tnum_is_const(struct tnum a)
{
	return !a.mask;
}

static bool reg_is_referenced(struct bpf_verifier_env *env, const struct bpf_reg_state *reg)
{
	return reg->ref_obj_id;
}

static bool is_trusted_reg(struct bpf_verifier_env *env, const struct bpf_reg_state *reg)
{
	return reg_is_referenced(env, reg) || reg->type & PTR_TRUSTED;
}

static bool is_rcu_reg(const struct bpf_reg_state *reg)
{
	return reg->type & MEM_RCU;
}

static int release_reg(struct bpf_verifier_env *env, struct bpf_reg_state *reg, bool lock,
		       bool release_dynptr)
{
	if (release_dynptr && !reg->id) {
		verbose(env, "not a dynptr\n");
		return -EINVAL;
	}
	reg->ref_obj_id = 0;
	reg->type = NOT_INIT;

	return 0;
}

static int fetch_kfunc_meta(struct bpf_verifier_env *env,
			    s32 func_id,
			    s16 offset,
			    struct bpf_kfunc_meta *kfunc)
{
	const struct btf_type *func, *func_proto;
	u32 *kfunc_flags;
	struct btf *btf;

	if (func_id <= 0 || offset) {
		verbose(env, "invalid kernel function btf_id %d\n", func_id);
		return -EINVAL;
	}

	btf = bpf_get_btf_vmlinux();

	/* NULL if it is in no set, which the caller judges */
	kfunc_flags = btf_kfunc_flags(btf, func_id, env->prog);

	func = btf_type_by_id(btf, func_id);
	if (!func || !btf_type_is_func(func)) {
		verbose(env, "kernel btf_id %d is not a function\n", func_id);
		return -EINVAL;
	}

	func_proto = btf_type_by_id(btf, func->type);
	if (!func_proto || !btf_type_is_func_proto(func_proto)) {
		verbose(env, "kernel btf_id %d has no prototype\n", func_id);
		return -EINVAL;
	}

	memset(kfunc, 0, sizeof(*kfunc));
	kfunc->btf = btf;
	kfunc->id = func_id;
	kfunc->name = btf_name_by_offset(btf, func->name_off);
	kfunc->proto = func_proto;
	kfunc->flags = kfunc_flags;

	return 0;
}

static int gen_kfunc_arg_proto(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
			       struct bpf_func_proto *proto);

int bpf_add_kfunc_call(struct bpf_verifier_env *env, u32 func_id, u16 offset)
{
	struct bpf_kfunc_desc_tab *tab = env->prog->aux->kfunc_tab;
	struct btf_func_model func_model = {};
	struct bpf_call_arg_meta meta;
	struct bpf_kfunc_meta kfunc;
	struct bpf_kfunc_desc *desc;
	int err;

	if (tab->nr_descs == ARRAY_SIZE(tab->descs)) {
		verbose(env, "too many different kernel function calls\n");
		return -E2BIG;
	}

	err = fetch_kfunc_meta(env, func_id, offset, &kfunc);
	if (err)
		return err;

	func_model.nr_args = min(btf_type_vlen(kfunc.proto), MAX_BPF_FUNC_ARGS);

	memset(&meta, 0, sizeof(meta));
	meta.btf = kfunc.btf;
	meta.func_id = kfunc.id;
	meta.func_proto = kfunc.proto;
	meta.func_name = kfunc.name;
	meta.kfunc_flags = kfunc.flags ? *kfunc.flags : 0;

	desc = &tab->descs[tab->nr_descs];
	memset(desc, 0, sizeof(*desc));

	err = gen_kfunc_arg_proto(env, &meta, &desc->proto);
	if (err)
		return err;

	desc->func_id = func_id;
	desc->func_model = func_model;
	tab->nr_descs++;

	return 0;
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
	const struct btf_type *t;

	t = btf_type_skip_modifiers(btf, arg->type, NULL);
	if (!btf_type_is_scalar(t))
		return false;

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

static bool is_kfunc_arg_iter(struct bpf_call_arg_meta *meta, int arg, const struct btf_param *param)
{
	if (meta->kfunc_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY))
		return arg == 0;

	return btf_param_match_suffix(meta->btf, param, "__iter");
}

static bool is_kfunc_arg_dynptr(const struct btf *btf, const struct btf_param *arg)
{
	const struct btf_type *t = btf_type_skip_modifiers(btf, arg->type, NULL);

	if (!btf_type_is_ptr(t))
		return false;
	t = btf_type_skip_modifiers(btf, t->type, NULL);

	return !strcmp(btf_name_by_offset(btf, t->name_off), "bpf_dynptr");
}

static bool is_kfunc_arg_prog_aux(const struct btf *btf, const struct btf_param *arg)
{
	const struct btf_type *t = btf_type_skip_modifiers(btf, arg->type, NULL);

	if (!btf_type_is_ptr(t))
		return false;
	t = btf_type_skip_modifiers(btf, t->type, NULL);

	return !strcmp(btf_name_by_offset(btf, t->name_off), "bpf_prog_aux");
}

static bool is_kfunc_arg_implicit(const struct bpf_call_arg_meta *meta, u32 arg)
{
	const struct btf_type *func;

	if (!(meta->kfunc_flags & KF_IMPLICIT_ARGS))
		return false;
	func = btf_type_by_id(meta->btf, meta->func_id);

	return arg >= btf_type_vlen(btf_type_by_id(meta->btf, func->type));
}

static int
get_kfunc_arg_type(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
		   const struct btf_param *args, int arg, int nargs)
{
	const struct btf_type *t, *ref_t;
	int arg_type;

	t = btf_type_skip_modifiers(meta->btf, args[arg].type, NULL);

	if (btf_type_is_scalar(t)) {
		if (is_kfunc_arg_constant(meta->btf, &args[arg]))
			return KF_ARG_CONST;
		if (is_kfunc_arg_const_mem_size(meta->btf, &args[arg]))
			return KF_ARG_CONST_MEM_SIZE;
		if (is_kfunc_arg_mem_size(meta->btf, &args[arg]))
			return KF_ARG_MEM_SIZE;
		return KF_ARG_ANYTHING;
	}

	if (!btf_type_is_ptr(t)) {
		verbose(env, "Unrecognized type of %s\n", reg_arg_name(env, argno_from_arg(arg + 1)));
		return -EINVAL;
	}
	ref_t = btf_type_skip_modifiers(meta->btf, t->type, NULL);

	if (meta->func_id == special_kfunc_list[KF_bpf_cast_to_kern_ctx] ||
	    meta->func_id == special_kfunc_list[KF_bpf_rdonly_cast])
		arg_type = KF_ARG_PTR_TO_CTX;
	else if (is_kfunc_arg_dynptr(meta->btf, &args[arg]))
		arg_type = KF_ARG_PTR_TO_DYNPTR;
	else if (is_kfunc_arg_iter(meta, arg, &args[arg]))
		arg_type = KF_ARG_PTR_TO_ITER;
	else if (is_kfunc_arg_const_str(meta->btf, &args[arg]))
		arg_type = KF_ARG_PTR_TO_CONST_STR;
	else if (arg + 1 < nargs &&
		 (is_kfunc_arg_mem_size(meta->btf, &args[arg + 1]) ||
		  is_kfunc_arg_const_mem_size(meta->btf, &args[arg + 1])))
		arg_type = KF_ARG_PTR_TO_MEM;
	else if (btf_type_is_struct(ref_t))
		arg_type = KF_ARG_PTR_TO_BTF_ID;
	else
		arg_type = KF_ARG_PTR_TO_MEM;

	if (is_kfunc_arg_nullable(meta->btf, &args[arg]))
		arg_type |= PTR_MAYBE_NULL;

	return arg_type;
}

static int gen_kfunc_arg_proto(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta,
			       struct bpf_func_proto *proto)
{
	const struct btf_param *args = btf_params(meta->func_proto);
	u32 i, nargs = btf_type_vlen(meta->func_proto);
	const struct btf *btf = meta->btf;
	int arg_type;

	if (nargs > MAX_BPF_FUNC_ARGS) {
		verbose(env, "Function %s has %d > %d args\n", meta->func_name, nargs, MAX_BPF_FUNC_ARGS);
		return -EINVAL;
	}

	for (i = 0; i < nargs; i++) {
		if (is_kfunc_arg_prog_aux(btf, &args[i]) ||
		    is_kfunc_arg_ignore(btf, &args[i]) ||
		    is_kfunc_arg_implicit(meta, i))
			continue;

		arg_type = get_kfunc_arg_type(env, meta, args, i, nargs);
		if (arg_type < 0)
			return arg_type;

		proto->arg_type[i] = arg_type;
	}

	return 0;
}

static int process_kf_arg_ptr_to_btf_id(struct bpf_verifier_env *env,
					struct bpf_reg_state *reg,
					u32 ref_id,
					struct bpf_call_arg_meta *meta,
					int arg, argno_t argno)
{
	const struct btf_type *reg_ref_t;
	bool strict_type_match = false;
	u32 reg_ref_id = reg->btf_id;

	/* A kfunc that takes a reference over gets exactly its type. */
	if ((is_kfunc_release(meta) && reg_is_referenced(env, reg)) ||
	    is_kfunc_acquire(meta))
		strict_type_match = true;

	WARN_ON_ONCE(is_kfunc_release(meta) && !tnum_is_const(reg->var_off));

	reg_ref_t = btf_type_skip_modifiers(reg->btf, reg_ref_id, &reg_ref_id);
	if (!reg_ref_t || (strict_type_match && reg_ref_id != ref_id)) {
		verbose(env, "kernel function %s %s has the wrong type\n", meta->func_name,
			reg_arg_name(env, argno));
		return -EINVAL;
	}

	return 0;
}

static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta)
{
	const struct btf_param *args = btf_params(meta->func_proto);
	u32 i, nargs = btf_type_vlen(meta->func_proto);
	const char *func_name = meta->func_name;
	const struct btf *btf = meta->btf;
	int ret;

	for (i = 0; i < nargs; i++) {
		struct bpf_reg_state *reg = get_func_arg_reg(cur_func(env), cur_regs(env), i);
		argno_t argno = argno_from_arg(i + 1);
		int regno = reg_from_argno(argno);
		int kf_arg_type = meta->fn->arg_type[i];
		u32 arg_type = ARG_DONTCARE, dynptr_arg_type;
		const struct btf_type *t;

		if (is_kfunc_arg_prog_aux(btf, &args[i]))
			continue;

		if (is_kfunc_arg_ignore(btf, &args[i]) || is_kfunc_arg_implicit(meta, i))
			continue;

		t = btf_type_skip_modifiers(btf, args[i].type, NULL);
		if (btf_type_is_ptr(t) && bpf_register_is_null(reg) && !type_may_be_null(kf_arg_type)) {
			verbose(env, "Possibly NULL pointer passed to trusted %s\n",
				reg_arg_name(env, argno));
			return -EACCES;
		}

		if (regno == meta->release_regno && !is_kfunc_arg_dynptr(meta->btf, &args[i]) &&
		    !reg_is_referenced(env, reg) && !bpf_register_is_null(reg)) {
			verbose(env, "release kfunc %s expects referenced PTR_TO_BTF_ID passed to %s\n",
				func_name, reg_arg_name(env, argno));
			return -EINVAL;
		}

		if (regno == meta->release_regno)
			arg_type |= OBJ_RELEASE;
		if (arg_type & OBJ_RELEASE && !tnum_is_const(reg->var_off))
			return -EINVAL;

		switch (base_type(kf_arg_type)) {
		case KF_ARG_CONST:
			if (reg->type != SCALAR_VALUE || !tnum_is_const(reg->var_off)) {
				verbose(env, "%s is not a known constant\n", reg_arg_name(env, argno));
				return -EINVAL;
			}
			break;
		case KF_ARG_PTR_TO_DYNPTR:
			if (!is_kfunc_arg_uninit(btf, &args[i]) && !reg->id) {
				verbose(env, "%s is not initialized\n", reg_arg_name(env, argno));
				return -EINVAL;
			}
			meta->dynptr.id = reg->id;

			dynptr_arg_type = ARG_PTR_TO_DYNPTR;
			if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_from_skb]) {
				dynptr_arg_type |= DYNPTR_TYPE_SKB;
			} else if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_file_discard]) {
				dynptr_arg_type |= DYNPTR_TYPE_FILE | OBJ_RELEASE;
			}
			if (dynptr_arg_type & OBJ_RELEASE && !dynptr_type_referenced(dynptr_reg_type(env, reg)))
				return -EINVAL;
			break;
		case KF_ARG_PTR_TO_BTF_ID:
			if (!is_trusted_reg(env, reg)) {
				if (!is_kfunc_rcu(meta)) {
					verbose(env, "%s must be referenced or trusted\n",
						reg_arg_name(env, argno));
					return -EINVAL;
				}
				if (!is_rcu_reg(reg)) {
					verbose(env, "%s must be a rcu pointer\n",
						reg_arg_name(env, argno));
					return -EINVAL;
				}
			}
			ret = process_kf_arg_ptr_to_btf_id(env, reg, t->type, meta, i, argno);
			if (ret < 0)
				return ret;
			break;
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
	int err;

	memset(meta, 0, sizeof(*meta));

	err = fetch_kfunc_meta(env, func_id, offset, &kfunc);
	if (err)
		return err;

	meta->btf = kfunc.btf;
	meta->func_id = kfunc.id;
	meta->func_proto = kfunc.proto;
	meta->func_name = kfunc.name;

	if (!kfunc.flags || !btf_kfunc_is_allowed(kfunc.btf, kfunc.id, env->prog))
		return -EACCES;

	meta->kfunc_flags = *kfunc.flags;

	/* Only a referenced argument in a register can be released */
	if (is_kfunc_release(meta))
		meta->release_regno = BPF_REG_1;

	return 0;
}

/* How many bytes of the stack a kfunc reads, as a negative number those that it writes. */
long long bpf_kfunc_stack_access_bytes(struct bpf_verifier_env *env, struct bpf_insn *insn, int arg)
{
	struct bpf_call_arg_meta meta;
	const struct btf_param *args;
	const struct btf *btf;
	long long size;
	u32 nargs;

	if (bpf_fetch_kfunc_arg_meta(env, insn->imm, insn->off, &meta) < 0)
		return S64_MIN;

	btf = meta.btf;
	args = btf_params(meta.func_proto);
	nargs = btf_type_vlen(meta.func_proto);
	if (arg >= nargs)
		return 0;

	if (is_kfunc_arg_dynptr(btf, &args[arg])) {
		size = BPF_DYNPTR_SIZE;
		goto out;
	}

	/* the size is in the next register */
	if (arg + 1 < nargs &&
	    (btf_param_match_suffix(btf, &args[arg + 1], "__sz") ||
	     btf_param_match_suffix(btf, &args[arg + 1], "__szk")))
		return MAX_BPF_STACK;

	return S64_MIN;
out:
	if (arg == 0 && meta.kfunc_flags & KF_ITER_NEW)
		return -size;
	if (is_kfunc_arg_uninit(btf, &args[arg]))
		return -size;
	return size;
}

static int check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn)
{
	struct bpf_reg_state *regs = cur_regs(env);
	struct bpf_call_arg_meta meta;
	int err;

	err = bpf_fetch_kfunc_arg_meta(env, insn->imm, insn->off, &meta);
	if (err)
		return err;
	meta.fn = &env->prog->aux->kfunc_tab->descs[0].proto;

	err = check_kfunc_args(env, &meta);
	if (err)
		return err;

	err = validate_ref_obj(env, &meta.ref_obj);
	if (err)
		return err;

	/* The register with the reference that the kfunc takes over */
	if (meta.release_regno) {
		err = release_reg(env, &regs[meta.release_regno], false, !!meta.dynptr.id);
		if (err)
			return err;
	}

	return 0;
}

int bpf_check_kfunc_call(struct bpf_verifier_env *env, struct bpf_insn *insn)
{
	return check_kfunc_call(env, insn);
}
