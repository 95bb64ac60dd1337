"""Where the verifier checks the memory that a kfunc is given, for steps that ask for less than to read and write it.

Some verifiers let the caller of a check say which access is meant; in others the checks for kfuncs ask for both, and
get a parameter here. Which argument a check is about is read from where its register comes from, and never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ....c import Call, Function, Source, Span, calls, find, function, functions, matches
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Context
from .facts import BTF_C, VERIFIER_C, Place, fragment, meta_struct, need_source, one_shape

USER = "check_kfunc_args"
ACCESS = "kfunc_arg_access"
BOTH = "BPF_READ | BPF_WRITE"
PARAMETER = "u32 access_type"
#: The checks of memory whose size the type tells, and whose size is in another argument: for kfuncs, or for all calls.
FIXED, SIZED, SHARED = "check_mem_reg", "check_kfunc_mem_size_reg", "check_mem_size_reg"
#: The function of the check of a set that says whether the next argument is the size of one.
SIZED_ARG = "btf_is_kfunc_arg_sized"
COLUMNS, TAB = 100, 8


def anchors_access(context: Context) -> list[a.Anchor]:
    """Return the anchors that let each argument say which access to its memory is checked."""
    meta, _ = meta_struct(context.tree)
    source = need_source(context.tree, VERIFIER_C)
    sized = SIZED if function(source, SIZED) or uses(source, SIZED) else SHARED
    found = []
    for name in (FIXED, SIZED):
        if name in (FIXED, sized) and not chosen_by_callers(source, name):
            found += [parameter_anchor(name), *(caller_anchor(user, name) for user in other_callers(source, name))]
    return [
        *found,
        Place(VERIFIER_C, a.in_function(USER)).before(
            "before it",
            a.with_comment(a.whole()),
            fragment("memory-access.c.j2", meta=meta),
            a.contains(f"u32 {ACCESS}($_) {{"),
        ),
        use_anchor(FIXED),
        use_anchor(sized),
    ]


def in_check(context: Context, flagged: bool = False) -> bytes:
    """Return the functions by which the check of a set knows memory, b"" if the tree has them.

    `flagged` means that a size can be told by its flag.
    """
    there = function(need_source(context.tree, BTF_C), SIZED_ARG)
    return b"" if there else fragment("memory-check.c.j2", flagged=flagged)


def anchors_flagged(context: Context) -> list[a.Anchor]:
    """Return the anchors that let these functions, if the tree has them, know the flags of sizes."""
    if in_check(context):
        return []
    named = 'return btf_param_match_suffix(btf, size, "__sz") || btf_param_match_suffix(btf, size, "__szk");'
    text, place = fragment("suffixes-check-sized.c.j2"), Place(BTF_C, a.in_function(SIZED_ARG))
    return [place.before("its end", a.statement(named), text, "(KFA_SZ | KFA_CONST_SZ)")]


def chosen_by_callers(source: Source, name: str) -> bool:
    """Say whether the callers of a check say which access is meant."""
    params = [p for f in function(source, name) for p in f.params]
    return any(p.type == "enum bpf_access_type" or p.name == "access_type" for p in params)


def other_callers(source: Source, name: str) -> list[str]:
    """Return the functions besides check_kfunc_args() that call a check."""
    return [f.name for f in functions(source) if f.name != USER and calls(source, name, f.body)]


# Checks that ask for both accesses


def parameter_anchor(name: str) -> a.Anchor:
    """Return the anchor of a check that gets a parameter for the access."""
    scope = a.in_function(name)

    def find_it(source: Source) -> Sequence[Span]:
        return [f.span for f in function(source, name) if second_access(source, f)]

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        (checked,) = (f for f in function(source, name) if f.span == span)
        return [*head_edits(source, checked), *body_edits(source, checked)]

    label = f"{name}() checks for BPF_READ and then for BPF_WRITE"
    done = a.contains("if (!err && access_type & BPF_WRITE)", scope)
    return one_shape(f"{name}(): the access", VERIFIER_C, label, find_it, edit, done, scope, "err = err ?:")


def second_access(source: Source, checked: Function) -> list[tuple[Span, Call]]:
    """Return the check for BPF_WRITE and where its `err = err ?:` is, if that for BPF_READ differs in nothing else."""
    found = []
    for match in matches(source, "err = err ?: $callee(", checked.body):
        callee = source.at(match.bindings["callee"]).decode()
        pair = calls(source, callee, checked.body)
        asked = [[source.at(arg) for arg in call.args] for call in pair]
        if len(pair) == 2 and [b"BPF_WRITE" if x == b"BPF_READ" else x for x in asked[0]] == asked[1] != asked[0]:
            found.append((match.span, pair[1]))
    return found if len(found) == 1 else []


def head_edits(source: Source, checked: Function) -> list[Edit]:
    """Return the edit that adds the parameter."""
    end = source.text.rindex(b")", checked.span.start, checked.body.start)
    start = source.text.rfind(b"\n", 0, end) + 1
    line = source.text[start:end]
    indent = line[: len(line) - len(line.lstrip(b" \t"))]
    new = f", {PARAMETER}".encode()
    if indent and width(line + new + b")") > COLUMNS:
        new = b",\n" + indent + PARAMETER.encode()
    return [Edit(source.path, end, end, new)]


def body_edits(source: Source, checked: Function) -> list[Edit]:
    """Return the edit that makes the second check depend on the parameter."""
    ((head, call),) = second_access(source, checked)
    callee = source.text[call.span.start : source.text.index(b"(", call.span.start) + 1]
    new = b"if (!err && access_type & BPF_WRITE)\n\t\t"
    new += filled(b"err = " + callee, [source.at(arg) for arg in call.args], 2 * TAB)
    return [Edit(source.path, head.start, call.span.end, new)]


def filled(head: bytes, args: Sequence[bytes], column: int) -> bytes:
    """Return a call at a column, its lines broken behind commas and aligned to its bracket as the kernel does."""
    align = column + width(head)
    lines = [head + args[0]]
    at = align + width(args[0])
    for arg in args[1:]:
        at += 2 + width(arg)
        if at + 2 > COLUMNS:
            lines.append(indent_to(align) + arg)
            at = align + width(arg)
        else:
            lines[-1] += b", " + arg
    return b",\n".join(lines) + b")"


def caller_anchor(user: str, name: str) -> a.Anchor:
    """Return the anchor of calls of a check that go on asking for both accesses."""
    scope = a.in_function(user)

    def find_it(source: Source) -> Sequence[Span]:
        spans = [c.span for f in function(source, user) for c in calls(source, name, f.body)]
        return [] if any(b"BPF_" in source.at(span) for span in spans) else spans

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        return [Edit(source.path, span.end - 1, span.end - 1, f", {BOTH}".encode())]

    def done(source: Source) -> bool:
        return any(find(source, BOTH, c.span) for f in function(source, user) for c in calls(source, name, f.body))

    label = f"{name}() in {user}()"
    return one_shape(f"{label}: both accesses", VERIFIER_C, label, find_it, edit, done, scope, f"{name}(")


# The user of both checks


@dataclass(frozen=True)
class Buffer:
    """The argument that memory is in, as check_kfunc_args() numbers it, and the variable of its register."""

    number: str
    register: str

    @property
    def access(self) -> bytes:
        """The access that the argument allows."""
        return f"{ACCESS}(meta, {self.number}, {self.register})".encode()


def use_anchor(name: str) -> a.Anchor:
    """Return the anchor of the one call of a check in check_kfunc_args()."""
    scope = a.in_function(USER)

    def find_it(source: Source) -> Sequence[Span]:
        return [c.span for c in uses(source, name) if not find(source, f"{ACCESS}(", c.span)]

    return one_shape(
        f"{USER}(): {name}()",
        VERIFIER_C,
        f"{name}() in {USER}()",
        find_it,
        partial(use_edits, name=name),
        lambda source: any(find(source, f"{ACCESS}(", c.span) for c in uses(source, name)),
        scope,
        f"{name}($_)",
    )


def uses(source: Source, name: str) -> list[Call]:
    """Return the calls of a check in check_kfunc_args()."""
    return [c for f in function(source, USER) for c in calls(source, name, f.body)]


def use_edits(source: Source, span: Span, name: str) -> list[Edit]:
    """Return the edit that has a check take the access from its argument."""
    (call,) = (c for c in uses(source, name) if c.span == span)
    new = buffer_of(source, call).access
    asked = [arg for arg in call.args if source.at(arg).split() == BOTH.encode().split()]
    if asked:
        return [placed(source, call, asked[0], new)]
    if chosen_by_callers(source, name):
        raise a.AnchorError(f"{source.where(span.start)}: {name}() is not asked for {BOTH} here")
    end = call.args[-1].end
    return [placed(source, call, Span(end, end), new)]


def placed(source: Source, call: Call, span: Span, new: bytes) -> Edit:
    """Return the edit that puts an argument in the place of one, or behind the last; lines are broken where need be."""
    last = span.start == span.end
    start, end = source.text.rfind(b"\n", 0, span.start) + 1, source.text.find(b"\n", span.end)
    before, after = source.text[start : span.start], source.text[span.end : end]
    bracket = source.text.index(b"(", call.span.start) + 1
    align = indent_to(width(source.text[source.text.rfind(b"\n", 0, bracket) + 1 : bracket]))
    head = b", " if last else b""
    if width(before + head + new + b",") > COLUMNS:
        blanks = len(before) - len(before.rstrip(b" "))
        return Edit(source.path, span.start - blanks, span.end, (b"," if last else b"") + b"\n" + align + new)
    if width(before + head + new + after) > COLUMNS and after.startswith(b", "):
        return Edit(source.path, span.start, span.end + 2, head + new + b",\n" + align)
    return Edit(source.path, span.start, span.end, head + new)


def buffer_of(source: Source, call: Call) -> Buffer:
    """Return the argument that a check is about; raise AnchorError where that is not known."""
    name = source.at(call.args[1]).decode()
    if name == "reg":
        return Buffer("i", name)
    (user,) = function(source, USER)
    declared = matches(source, f"struct bpf_reg_state *{name} = $init;", user.body)
    init = source.at(declared[0].bindings["init"]).decode() if len(declared) == 1 else ""
    if init in ("reg", "&regs[regno]"):
        return Buffer("i", name)
    if init == "&regs[regno + 1]":
        # The size, which is in the next register.
        return Buffer("i", "reg")
    fetched = matches(source, "get_func_arg_reg(caller, regs, $number)", declared[0].bindings["init"]) if init else []
    if len(fetched) != 1:
        raise a.AnchorError(f"{source.where(call.span.start)}: which argument the register {name} is, is not known")
    return Buffer(source.at(fetched[0].bindings["number"]).decode(), name)


def width(line: bytes) -> int:
    """Return how many columns a line takes, tabs being 8 wide."""
    return len(line.expandtabs(TAB))


def indent_to(column: int) -> bytes:
    """Return the tabs and blanks up to a column."""
    return b"\t" * (column // TAB) + b" " * (column % TAB)
