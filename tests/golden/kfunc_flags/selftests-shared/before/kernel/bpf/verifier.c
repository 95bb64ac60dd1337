static int check_kfunc_args(struct bpf_verifier_env *env, struct bpf_call_arg_meta *meta)
{
	verbose(env, "Possibly NULL pointer passed to trusted %s\n", reg_arg_name(env, argno));
	verbose(env, "release kfunc %s expects referenced PTR_TO_BTF_ID passed to %s\n",
		func_name, reg_arg_name(env, argno));
	return -EINVAL;
}
