"""Classify each parameter of a kfunc as the verifier does, as far as a prototype tells.

This follows get_kfunc_arg_type() and get_kfunc_ptr_arg_type() in kernel/bpf/verifier.c, in their order. Two things
depend on the program and not on the prototype: whether a pointer is the context (the uapi context types count as
it here), and on older kernels whether a struct is memory (a struct pointer counts as a pointer to a kernel object).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ....c import Param
from ....errors import UserError
from ....series.tree import Tree

VERIFIER = "kernel/bpf/verifier.c"
RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/main.c"
BPF_TYPES = "include/linux/bpf_types.h"

IMPLICIT_TYPES = ("bpf_prog_aux", "btf_struct_meta")
ITERATOR_FLAGS = frozenset({"KF_ITER_NEW", "KF_ITER_NEXT", "KF_ITER_DESTROY"})
#: Suffixes of pointers in the verifier's order; struct names come after `__refcounted_kptr` and before `__str`.
EARLY_SUFFIXES = (("__alloc", "alloc_btf_id"), ("__refcounted_kptr", "refcounted_kptr"))
LATE_SUFFIXES = (("__str", "const_str"), ("__const_map", "map"), ("__map", "map"), ("__irq_flag", "irq_flag"))
STRUCTS = {
    "bpf_dynptr": "dynptr",
    "bpf_list_head": "list_head",
    "bpf_list_node": "list_node",
    "bpf_rb_root": "rb_root",
    "bpf_rb_node": "rb_node",
    "bpf_wq": "wq",
    "bpf_timer": "timer",
    "bpf_task_work": "task_work",
    "bpf_res_spin_lock": "res_spin_lock",
}
#: The class of a pointer to a struct whose name means nothing to the verifier.
OBJECT = "btf_id"
NOT_POINTERS = frozenset(
    {"scalar", "const", "mem_size", "const_mem_size", "alloc_size", "implicit", "ignored", "prog_aux"}
)

_STRUCT_POINTER = re.compile(r"(?:struct|union)\s+(\w+)\s*\*\Z")
_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict|__user|__rcu|__percpu|__kernel)\b")
_CALLBACK = re.compile(r"\(|_(?:callback|cb|fn|func)_t\Z|\bcallback_t\Z")
_SCALAR = re.compile(
    r"(?:(?:unsigned|signed|long|short|int|char)\b\s*)+|enum \w+|bool|_Bool|void"
    r"|(?:__)?[us](?:8|16|32|64)|(?:__)?[bl]e(?:16|32|64)|u?int(?:8|16|32|64)_t|s?size_t|pid_t|gfp_t|loff_t|dev_t|umode_t|uintptr_t|__wsum|__sum16"
)
_RCU_REFUSES_NULL = re.compile(
    rb"is_kfunc_(?:arg_)?rcu\s*+\([^()]*\)\s*+(?:\)\s*+)?&&\s*"
    rb"\(\s*(?:bpf_)?register_is_null\s*\(\s*reg\s*\)\s*\|\|\s*type_may_be_null"
)


@dataclass(frozen=True)
class Verifier:
    """How the verifier of a tree works, read from its text.

    `release` is "first" if KF_RELEASE is about register 1, "referenced" if it is about whichever argument is
    referenced. `rcu_checks_null`: KF_RCU also refuses NULL (elsewhere NULL is refused anyway). `contexts` are the
    structs of program contexts, `context_kfuncs` the kfuncs whose every pointer is one. `raw_memory`: memory of a kfunc
    can be checked for writing only. `arena`: resolve_btfids, not pahole, reads which arguments point into an arena.
    """

    release: str
    rcu_checks_null: bool
    contexts: frozenset[str]
    context_kfuncs: frozenset[str]
    raw_memory: bool = False
    arena: bool = False


def read_verifier(tree: Tree) -> Verifier:
    """Return how this tree's verifier works; raise UserError if it treats KF_RELEASE in neither known way."""
    text = tree.read(VERIFIER)
    if re.search(rb"\brelease_regno\s*=\s*regno\b", text):
        release = "referenced"
    elif re.search(rb"\brelease_regno\s*=\s*(?:BPF_REG_1|kfunc_release_regno\s*\()", text):
        release = "first"
    else:
        raise UserError(
            f"{VERIFIER}: cannot tell which argument KF_RELEASE releases; expected an assignment of BPF_REG_1 or of "
            "the referenced register to release_regno"
        )
    types = tree.get(BPF_TYPES) or b""
    contexts = re.findall(rb"\bBPF_PROG_TYPE\s*\(\s*\w+\s*,\s*\w+\s*,\s*(?:struct\s+)?(\w+)\s*,", types)
    structs = frozenset(c.decode() for c in contexts)
    return Verifier(
        release, rcu_checks_null(text), structs, context_kfuncs(text), writes_raw_memory(text), reads_arena(tree)
    )


def rcu_checks_null(verifier: bytes) -> bool:
    """Say whether KF_RCU also refuses NULL, for memory as well, where other kfuncs take it."""
    return _RCU_REFUSES_NULL.search(verifier) is not None


def writes_raw_memory(verifier: bytes) -> bool:
    """Say whether the check of memory on the stack is told by register which memory is written only."""
    return re.search(rb"\barg_raw_mem\.regno\s*==", verifier) is not None


def reads_arena(tree: Tree) -> bool:
    """Say whether resolve_btfids of a tree reads which arguments point into an arena."""
    text = tree.get(RESOLVE_BTFIDS) or b""
    return re.search(rb"\bKF_ARENA_ARG1\b|\bKFA_ARENA\b", text) is not None


def context_kfuncs(text: bytes) -> frozenset[str]:
    """Return the kfuncs that the verifier names in its rule for pointers to the context."""
    found = re.search(
        rb"\bif\s*+\(((?>[^;{}()]*?special_kfunc_list\[KF_\w+\])[^;{}()]*+)\)\s*+(?:arg_type\s*+=|return)\s*+"
        rb"KF_ARG_PTR_TO_CTX\b",
        text,
    )
    return frozenset(name.decode() for name in re.findall(rb"\[KF_(\w+)\]", found[1])) if found else frozenset()


def classify(kfunc: str, params: Sequence[Param], flags: Sequence[str], verifier: Verifier) -> tuple[str, ...]:
    """Return the class of each parameter, in order."""
    out: list[str] = []
    implicit = False
    for index, param in enumerate(params):
        struct = struct_of(param.type)
        implicit = implicit or ("KF_IMPLICIT_ARGS" in flags and struct in IMPLICIT_TYPES)
        if implicit:
            out.append("implicit")
        elif struct == "bpf_prog_aux":
            out.append("prog_aux")
        elif param.name.endswith("__ign"):
            out.append("ignored")
        elif is_pointer(param):
            follower = params[index + 1] if index + 1 < len(params) else None
            out.append(pointer(kfunc, index, param, follower, flags, verifier))
        else:
            out.append(scalar(param))
    return tuple(out)


def scalar(param: Param) -> str:
    """Return the class of an argument that is not a pointer."""
    for suffix, name in (("__k", "const"), ("__szk", "const_mem_size"), ("__sz", "mem_size")):
        if param.name.endswith(suffix):
            return name
    return "alloc_size" if param.name in ("rdonly_buf_size", "rdwr_buf_size") else "scalar"


def pointer(
    kfunc: str, index: int, param: Param, follower: Param | None, flags: Sequence[str], verifier: Verifier
) -> str:
    """Return the class of a pointer; `follower` is the next parameter."""
    struct = struct_of(param.type)
    if kfunc in verifier.context_kfuncs or struct in verifier.contexts or pointed(param) in verifier.contexts:
        return "ctx"
    for suffix, name in EARLY_SUFFIXES:
        if param.name.endswith(suffix):
            return name
    if struct == "bpf_dynptr":
        return "dynptr"
    if index == 0 if ITERATOR_FLAGS & set(flags) else param.name.endswith("__iter"):
        return "iter"
    if struct in STRUCTS and STRUCTS[struct] in ("list_head", "list_node", "rb_root", "rb_node"):
        return STRUCTS[struct]
    for suffix, name in LATE_SUFFIXES:
        if param.name.endswith(suffix):
            return name
    if struct in STRUCTS:
        return STRUCTS[struct]
    if _CALLBACK.search(param.type):
        return "callback"
    if param.name.endswith(("__arena", "__arena__nullable")):
        return "arena"
    sized = follower is not None and not is_pointer(follower) and follower.name.endswith(("__sz", "__szk"))
    return OBJECT if not sized and is_object(param) else "mem"


def is_pointer(param: Param) -> bool:
    """Say whether a parameter is a pointer; arrays and functions are."""
    return "*" in param.type or "[" in param.type or _CALLBACK.search(param.type) is not None


def is_object(param: Param) -> bool:
    """Say whether a pointer is to a struct or union, or to a typedef that can be one."""
    return struct_of(param.type) is not None or not (pointed(param).endswith("*") or _SCALAR.fullmatch(pointed(param)))


def is_scalar(param: Param) -> bool:
    """Say whether a parameter written without `*` is certainly a number, not a typedef of a pointer."""
    return _SCALAR.fullmatch(" ".join(_QUALIFIERS.sub(" ", param.type).split())) is not None


def struct_of(text: str) -> str | None:
    """Return X for the type `struct X *`, qualified or not."""
    match = _STRUCT_POINTER.search(" ".join(_QUALIFIERS.sub(" ", text).split()))
    return match[1] if match else None


def pointed(param: Param) -> str:
    """Return the type without its last `*` or `[]` and without qualifiers."""
    text = re.sub(r"\*\s*\Z|\[[^\[\]]*+\]\s*\Z", "", _QUALIFIERS.sub(" ", param.type).strip())
    return " ".join(text.split())
