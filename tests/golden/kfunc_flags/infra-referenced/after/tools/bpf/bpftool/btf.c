// SPDX-License-Identifier: GPL-2.0-only

#define KFUNC_DECL_TAG		"bpf_kfunc"
#define FASTCALL_DECL_TAG	"bpf_fastcall"
#define ARG_DECL_TAG		"arg:"

#define MAX_ROOT_IDS		16

/* Print the flags of the arguments of a kfunc, e.g. "arguments: 0 release, 1 rcu" */
static void dump_kfunc_arg_tags(const struct btf *btf, const struct btf_type *func,
				const struct ptr_array *arg_tags)
{
	int arg, nr_args = btf_vlen(btf__type_by_id(btf, func->type));
	const char *sep = "/* arguments: ";
	__u32 i;

	for (arg = 0; arg < nr_args; arg++) {
		for (i = 0; i < arg_tags->cnt; i++) {
			const struct btf_type *t = arg_tags->elems[i];

			if (btf_decl_tag(t)->component_idx != arg ||
			    btf__type_by_id(btf, t->type) != func)
				continue;

			printf("%s%d %s", sep, arg,
			       btf__name_by_offset(btf, t->name_off) + sizeof(ARG_DECL_TAG) - 1);
			sep = ", ";
		}
	}

	if (*sep == ',')
		printf(" */\n");
}

static int dump_btf_kfuncs(struct btf_dump *d, const struct btf *btf)
{
	LIBBPF_OPTS(btf_dump_emit_type_decl_opts, opts);
	__u32 cnt = btf__type_cnt(btf), i, j;
	struct ptr_array fastcalls = {};
	struct ptr_array arg_tags = {};
	struct ptr_array kfuncs = {};
	int err = 0;

	printf("\n/* BPF kfuncs */\n");
	printf("#ifndef BPF_NO_KFUNC_PROTOTYPES\n");

	for (i = 1; i < cnt; i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);
		const struct btf_type *ft;
		const char *name;

		if (!btf_is_decl_tag(t))
			continue;

		if (btf_decl_tag(t)->component_idx != -1) {
			name = btf__name_by_offset(btf, t->name_off);
			if (strncmp(name, ARG_DECL_TAG, sizeof(ARG_DECL_TAG) - 1) == 0) {
				err = ptr_array_push(t, &arg_tags);
				if (err)
					goto out;
			}
			continue;
		}

		ft = btf__type_by_id(btf, t->type);
		if (!btf_is_func(ft))
			continue;

		name = btf__name_by_offset(btf, t->name_off);
		if (strncmp(name, KFUNC_DECL_TAG, sizeof(KFUNC_DECL_TAG)) == 0) {
			err = ptr_array_push(ft, &kfuncs);
			if (err)
				goto out;
		}

		if (strncmp(name, FASTCALL_DECL_TAG, sizeof(FASTCALL_DECL_TAG)) == 0) {
			err = ptr_array_push(ft, &fastcalls);
			if (err)
				goto out;
		}
	}

	/* Sort kfuncs by name for improved vmlinux.h stability  */
	qsort_r(kfuncs.elems, kfuncs.cnt, sizeof(*kfuncs.elems), cmp_kfuncs, (void *)btf);
	for (i = 0; i < kfuncs.cnt; i++) {
		const struct btf_type *t = kfuncs.elems[i];

		dump_kfunc_arg_tags(btf, t, &arg_tags);
		printf("extern ");

		/* Assume small amount of fastcall kfuncs */
		for (j = 0; j < fastcalls.cnt; j++) {
			if (fastcalls.elems[j] == t) {
				printf("__bpf_fastcall ");
				break;
			}
		}

		opts.field_name = btf__name_by_offset(btf, t->name_off);
		err = btf_dump__emit_type_decl(d, t->type, &opts);
		if (err)
			goto out;

		printf(" __weak __ksym;\n");
	}

	printf("#endif\n\n");

out:
	ptr_array_free(&fastcalls);
	ptr_array_free(&arg_tags);
	ptr_array_free(&kfuncs);
	return err;
}
