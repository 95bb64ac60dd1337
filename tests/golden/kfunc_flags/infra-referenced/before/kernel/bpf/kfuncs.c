__bpf_kfunc int bpf_read(const void *mem, u32 mem__sz)
{
	return 0;
}

BTF_KFUNCS_START(kfunc_ids)
BTF_ID_FLAGS(func, bpf_read)
BTF_KFUNCS_END(kfunc_ids)
