"""Make tiny trees that hold only what the inventory of the kfunc sets reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series.tree import Tree

FIRST = b"""\
int bpf_fetch_kfunc_arg_meta(struct bpf_call_arg_meta *meta)
{
	if (is_kfunc_release(meta))
		meta->release_regno = BPF_REG_1;
	if (meta->func_id == special_kfunc_list[KF_bpf_cast_to_kern_ctx] ||
		meta->func_id == special_kfunc_list[KF_bpf_session_cookie])
		arg_type = KF_ARG_PTR_TO_CTX;
	return 0;
}
"""
REFERENCED = b"""\
static int check_kfunc_args(struct bpf_kfunc_call_arg_meta *meta)
{
	if (meta->func_id == special_kfunc_list[KF_bpf_cast_to_kern_ctx])
		return KF_ARG_PTR_TO_CTX;
	if ((is_kfunc_trusted_args(meta) || is_kfunc_rcu(meta)) &&
		(register_is_null(reg) || type_may_be_null(reg->type)) &&
		!is_kfunc_arg_nullable(meta->btf, &args[i]))
		return -EACCES;
	if (is_kfunc_release(meta))
		meta->release_regno = regno;
	return 0;
}
"""
TYPES = b"BPF_PROG_TYPE(BPF_PROG_TYPE_XDP, xdp,\n\t      struct xdp_md, struct xdp_buff)\n"
OLD_HEADER = b"""\
#ifdef CONFIG_DEBUG_INFO_BTF
#define BTF_ID_FLAGS(prefix, name, ...) \\
	__BTF_ID_FLAGS(prefix, name, ##__VA_ARGS__, 0)
#define BTF_KFUNCS_START(name)				\\
__BTF_SET8_START(name, local, BTF_SET8_KFUNCS)
#define BTF_SET8_END(name)				\\
asm("");
#define BTF_KFUNCS_END(name)				\\
BTF_SET8_END(name)
#else
#define BTF_ID_FLAGS(prefix, name, ...)
#define BTF_KFUNCS_START(name) static struct btf_id_set8 __maybe_unused name = { .flags = BTF_SET8_KFUNCS };
#endif
"""
HEADER = OLD_HEADER.replace(b"#else\n", b"#define BTF_KFUNC(name, flags, arg0_flags, ...)\n#else\n", 1)
LIST_HEADER = b"""\
#define LIST_KFUNC_xxx	\\
	LIST_KFUNC(LIST_KFUNC_ONE, \\
		from_list_one) \\
	LIST_KFUNC(LIST_KFUNC_TWO, from_list_two) \\

"""


def make(path: Path, files: Mapping[str, str | bytes], verifier: bytes = FIRST, header: bytes = HEADER) -> Tree:
    """Commit a tree of `files`, a verifier and the headers to a new repository and return it."""
    base: dict[str, str | bytes] = {
        "kernel/bpf/verifier.c": verifier,
        "include/linux/bpf_types.h": TYPES,
        "include/linux/btf_ids.h": header,
        "include/net/list.h": LIST_HEADER,
    }
    for name, text in {**base, **files}.items():
        where = path / name
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(text.encode() if isinstance(text, str) else text)
    run(["git", "init", "-q", "--template=", path])
    run(["git", "add", "-A"], cwd=path)
    run(["git", "commit", "-q", "-m", "tree"], cwd=path)
    repo = Repo.open(path)
    return Tree(repo, repo.resolve("HEAD"))
