static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_kfunc_call_arg_meta *meta)
{
	verbose(env, "Possibly NULL pointer passed to trusted arg%d\n", i);
	verbose(env, "arg#%d pointer type %s %s must point to %sscalar, or struct with scalar\n", i);
	verbose(env, "release kernel function %s expects refcounted PTR_TO_BTF_ID\n", func_name);
	return -EINVAL;
}
