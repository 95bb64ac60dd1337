"""Say what flags mean for each argument of a kfunc, whether they are on the kfunc or on the argument.

A conversion moves a flag from the kfunc to an argument and must not change what a program may do. To compare the two
forms, a flag of the kfunc is spread over the arguments that the verifier applies it to. That is decided by compiled
prototypes, independently of the code that wrote the patch, so that the two can disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ....c.constants import constant
from ....errors import ToolError
from ....git.repo import Scratch
from .btf import Param

BTF_H = "include/linux/btf.h"
BTF_IDS_H = "include/linux/btf_ids.h"
VERIFIER = "kernel/bpf/verifier.c"
RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/main.c"
BPF_TYPES = "include/linux/bpf_types.h"

#: The flags that are each about the argument of their place here, and the argument flag in their stead.
ARENA, ARENA_ARGUMENT = ("KF_ARENA_ARG1", "KF_ARENA_ARG2"), "KFA_ARENA"
RELEASE, RCU, ACQUIRE, IMPLICIT_ARGS = "KF_RELEASE", "KF_RCU", "KF_ACQUIRE", "KF_IMPLICIT_ARGS"
ITERATOR_FLAGS = frozenset({"KF_ITER_NEW", "KF_ITER_NEXT", "KF_ITER_DESTROY"})
#: KFA_RELEASE on an argument has the effect "release".
ARGUMENT_PREFIX = "KFA_"
#: The effects that no flag of a whole kfunc has: they let programs pass more than before.
GAINS = frozenset({"rdonly", "uninit"})

OBJECT = "object"
#: The kinds of pointers, in the verifier's order: by the struct that one points to, or by the suffix of its name.
KINDS = (
    ("allocated", "", "__alloc"),
    ("refcounted", "", "__refcounted_kptr"),
    ("dynptr", "bpf_dynptr", ""),
    ("iterator", "", "__iter"),
    ("list head", "bpf_list_head", ""),
    ("list node", "bpf_list_node", ""),
    ("tree root", "bpf_rb_root", ""),
    ("tree node", "bpf_rb_node", ""),
    ("string", "", "__str"),
    ("map", "", "__const_map"),
    (OBJECT, "", "__map"),
    ("work queue", "bpf_wq", ""),
    ("timer", "bpf_timer", ""),
    ("task work", "bpf_task_work", ""),
    ("lock", "bpf_res_spin_lock", ""),
    ("irq flag", "", "__irq_flag"),
    ("arena", "", "__arena"),
    ("arena", "", "__arena__nullable"),
)
IMPLICIT_STRUCTS = ("bpf_prog_aux", "btf_struct_meta")

_DEFINE = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+((?:KFA?|BTF_SET8)_\w+)[ \t]+((?:[^\n\\/]|\\\n|/(?![*/]))+)", re.MULTILINE
)
_NULL = re.compile(
    rb"\bis_kfunc_\w*rcu\s*+\([^()]*\)\s*+(?:\)\s*+)?&&\s*"
    rb"\(\s*(?:bpf_)?register_is_null\s*\(\s*reg\s*\)\s*\|\|\s*type_may_be_null"
)
_CONTEXT = re.compile(
    rb"\bif\s*+\(((?>[^;{}()]*?special_kfunc_list\[KF_\w+\])[^;{}()]*+)\)\s*+(?:arg_type\s*+=|return)\s*+"
    rb"KF_ARG_PTR_TO_CTX\b"
)


@dataclass(frozen=True)
class Flags:
    """The bits of flags by name, as the headers of one commit define them: KF_*, KFA_* and BTF_SET8_*.

    `unread` are those of pointers into arenas that resolve_btfids of the commit does not turn into an address space.
    """

    kfunc: Mapping[str, int]
    argument: Mapping[str, int]
    set: Mapping[str, int]
    unread: frozenset[str] = frozenset()

    @property
    def single(self) -> Mapping[str, int]:
        """The argument flags that are one flag, not a mask."""
        return {name: bit for name, bit in self.argument.items() if not name.endswith("_FLAGS")}

    @property
    def trailer(self) -> int | None:
        """The flag of a set that says that a trailer follows it; None if the header has none."""
        return self.set.get("BTF_SET8_KFUNC_ARGS")


@dataclass(frozen=True)
class Rule:
    """How the verifier treats flags of a whole kfunc.

    `release` is "first" if KF_RELEASE is about argument 0, "referenced" if it is about whichever argument the program
    passes a reference in. `null`: KF_RCU also refuses NULL, which is accepted without it. `contexts` are the
    structs that programs know as their context, `context_kfuncs` the kfuncs whose every pointer is one.
    """

    release: str
    null: bool = False
    contexts: frozenset[str] = frozenset()
    context_kfuncs: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Effect:
    """Something that holds for an argument of a kfunc (None: for the kfunc as a whole)."""

    argument: int | None
    what: str

    def __str__(self) -> str:
        """Return `release of argument 0`, `KF_SLEEPABLE`."""
        return self.what if self.argument is None else f"{self.what} of argument {self.argument}"


def flags_of(scratch: Scratch, tree: str) -> Flags:
    """Return the flags of kfuncs as the headers of a tree define them."""
    found = read_flags(*(scratch.read(tree, path) or b"" for path in (BTF_H, BTF_IDS_H)))
    return replace(found, unread=unread_flags(scratch.read(tree, RESOLVE_BTFIDS) or b""))


def unread_flags(tool: bytes) -> frozenset[str]:
    """Return the flags of pointers into arenas that a resolve_btfids does not obey; without its own code, pahole does.

    The prototype that programs see has the address space of the argument only if a flag is read.
    """
    code = without_comments(tool)
    head = re.search(rb"^[^\n;]*\bis_arena_arg\s*+\([^()]*+\)\s*+\{", code, re.MULTILINE)
    if not head:
        return frozenset({ARENA_ARGUMENT})
    body = code[head.end() :].partition(b"\n}")[0]
    return frozenset(f for f in (*ARENA, ARENA_ARGUMENT) if not re.search(rf"\b{f}\b".encode(), body))


def rule_of(scratch: Scratch, tree: str) -> Rule:
    """Return how the verifier of a tree treats flags."""
    return read_rule(*(scratch.read(tree, path) or b"" for path in (VERIFIER, BPF_TYPES)))


def read_flags(btf_h: bytes, btf_ids_h: bytes) -> Flags:
    """Return the flags that two headers define; raise ToolError for a definition that is not a constant."""
    values: dict[str, int] = {}
    for path, text in ((BTF_H, btf_h), (BTF_IDS_H, btf_ids_h)):
        for match in _DEFINE.finditer(text):
            name = match[1].decode()
            words = match[2].decode("utf-8", "replace").replace("\\\n", " ").strip()
            value = constant(words, values)
            if value is None:
                line = text.count(b"\n", 0, match.start()) + 1
                raise ToolError(f"{path}:{line}: {name} is defined as {words!r}; expected (1 << n) or names of flags")
            if values.setdefault(name, value) != value:
                raise ToolError(f"{path}: {name} is defined twice, as {values[name]:#x} and as {value:#x}")
    kinds = ("KF_", "KFA_", "BTF_SET8_")
    kfunc, argument, set_ = ({n: v for n, v in values.items() if n.startswith(kind)} for kind in kinds)
    found = Flags(kfunc, argument, set_)
    for wanted in (RELEASE, RCU):
        if wanted not in found.kfunc:
            raise ToolError(f"{BTF_H}: there is no `#define {wanted} (1 << n)`; expected the flags of kfuncs here")
    return found


def spell(mask: int, flags: Mapping[str, int]) -> tuple[str, ...]:
    """Return the names of the bits of `mask`, sorted; bits without a name as one hexadecimal number."""
    single = {value: name for name, value in sorted(flags.items(), reverse=True) if value.bit_count() == 1}
    names = [name for value, name in single.items() if mask & value]
    left = mask & ~sum(single)
    return tuple(sorted(names)) + ((f"{left:#x}",) if left else ())


def read_rule(verifier: bytes, bpf_types: bytes) -> Rule:
    """Return how a verifier works; raise ToolError if it treats KF_RELEASE in neither of the known ways."""
    code = without_comments(verifier)
    if re.search(rb"\brelease_regno\s*=\s*regno\s*;", code):
        release = "referenced"
    elif re.search(rb"\brelease_regno\s*=\s*BPF_REG_1\s*;", code) or is_first(code):
        release = "first"
    else:
        raise ToolError(
            f"{VERIFIER}: cannot tell what KF_RELEASE means; expected `release_regno = regno` (the referenced "
            "argument) or `release_regno = BPF_REG_1`, there or in kfunc_release_regno()"
        )
    null = _NULL.search(code)
    named = _CONTEXT.search(code)
    kfuncs = re.findall(rb"\[KF_(\w+)\]", named[1]) if named else []
    contexts = re.findall(rb"\bBPF_PROG_TYPE\s*\(\s*\w+\s*,\s*\w+\s*,\s*(?:struct\s+)?(\w+)\s*,", bpf_types)
    return Rule(release, null is not None, frozenset(map(bytes.decode, contexts)), frozenset(map(bytes.decode, kfuncs)))


def without_comments(code: bytes) -> bytes:
    """Return C without its comments."""
    return re.sub(rb"/\*(?:.*?\*/|.*)|//[^\n]*", b" ", code, flags=re.DOTALL)


def is_first(code: bytes) -> bool:
    """Say whether kfunc_release_regno() sets release_regno, and KF_RELEASE gives BPF_REG_1 there."""
    head = re.search(rb"^[^\n;]*\bkfunc_release_regno\s*+\([^()]*+\)\s*+\{", code, re.MULTILINE)
    body, closed, _ = code[head.end() :].partition(b"\n}") if head else (b"", b"", b"")
    used = re.search(rb"\brelease_regno\s*=\s*kfunc_release_regno\s*\(", code)
    return bool(closed and used and re.search(rb"KF_RELEASE\s*+(?:\)\s*+return|\?)\s*+BPF_REG_1\b", body))


def classify(kfunc: str, params: Sequence[Param], flags: Iterable[str], rule: Rule) -> tuple[str, ...]:
    """Return what each argument is to the verifier, by its questions in their order; "object" is what KF_RCU reaches.

    On older kernels, what an ordinary struct is depends on the program: it counts as an object.
    """
    flags = frozenset(flags)
    found: list[str] = []
    implicit = False
    for index, param in enumerate(params):
        implicit = implicit or (IMPLICIT_ARGS in flags and param.struct in IMPLICIT_STRUCTS)
        if implicit:
            found.append("implicit")
        elif param.struct == "bpf_prog_aux" or param.name.endswith(("__ign", "__prog")):
            found.append("ignored")
        elif param.kind == "pointer":
            found.append(pointer(kfunc, index, params, flags, rule))
        else:
            found.append({"function": "callback"}.get(param.kind, param.kind))
    return tuple(found)


def pointer(kfunc: str, index: int, params: Sequence[Param], flags: frozenset[str], rule: Rule) -> str:
    """Return the kind of a pointer."""
    param = params[index]
    if kfunc in rule.context_kfuncs or (param.struct is not None and {param.struct, param.typedef} & rule.contexts):
        return "context"
    for what, struct, end in KINDS:
        if what == "iterator" and ITERATOR_FLAGS & flags:
            fits = index == 0
        else:
            fits = param.struct == struct if struct else param.name.endswith(end)
        if fits:
            return what
    follower = params[index + 1] if index + 1 < len(params) else None
    sized = follower is not None and follower.kind == "scalar" and follower.name.endswith(("__sz", "__szk"))
    return OBJECT if param.struct is not None and not sized else "memory"


def effects(
    kfunc: str,
    flags: Sequence[str],
    arguments: Sequence[Sequence[str]],
    params: Sequence[Param] | None,
    rule: Rule,
    unread: frozenset[str] = frozenset(),
) -> frozenset[Effect]:
    """Return everything that holds for a kfunc: what its own flags mean for its arguments, and the argument flags.

    `params` None means that the prototype is unknown: then a flag of the kfunc that is about arguments is not spread.
    A flag that is `unread` gives the prototype no address space.
    """
    found = {Effect(None, flag) for flag in flags if flag not in (RELEASE, RCU, ACQUIRE, *ARENA)}
    found |= {in_arena(number, flag, unread) for number, flag in enumerate(ARENA) if flag in flags}
    classes = None if params is None else classify(kfunc, params, flags, rule)
    if RELEASE in flags:
        found |= released(classes, rule)
    if RCU in flags:
        found |= protected(classes, params, rule)
    if ACQUIRE in flags:
        found |= {Effect(None, "acquire of what is returned")}
    for number, names in enumerate(arguments):
        found |= {
            in_arena(number, name, unread)
            if name == ARENA_ARGUMENT
            else Effect(number, name.removeprefix(ARGUMENT_PREFIX).lower())
            for name in names
        }
    return frozenset(found)


def in_arena(number: int, flag: str, unread: frozenset[str]) -> Effect:
    """Return the effect of a flag of a pointer into an arena: the prototype of the kfunc has its address space."""
    return Effect(number, f"{flag} without effect" if flag in unread else "address space of arenas")


def released(classes: Sequence[str] | None, rule: Rule) -> set[Effect]:
    """Return the effect of KF_RELEASE; its argument is None if the program decides which one it is about."""
    if rule.release == "first":
        return {Effect(0, "release")}
    held = [n for n, c in enumerate(classes or ()) if c in (OBJECT, "allocated", "refcounted")]
    return {Effect(held[0], "release")} if len(held) == 1 else {Effect(None, "release of whichever is referenced")}


def protected(classes: Sequence[str] | None, params: Sequence[Param] | None, rule: Rule) -> set[Effect]:
    """Return the effect of KF_RCU: on every object; if it refuses NULL, also on memory for which NULL is accepted."""
    if classes is None or params is None:
        return {Effect(None, "rcu of unknown arguments")}
    reached = {OBJECT, "allocated", "memory"} if rule.null else {OBJECT}
    numbers = [n for n, c in enumerate(classes) if c in reached]
    return {Effect(n, "rcu") for n in numbers} or {Effect(None, "rcu of no argument")}


def visible(classes: Sequence[str]) -> int:
    """Return how many arguments a program passes."""
    return sum(c != "implicit" for c in classes)
