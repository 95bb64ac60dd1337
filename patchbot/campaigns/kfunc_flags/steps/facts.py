"""Share what the infrastructure steps need: the files of the BPF core, and the facts that differ between kernels.

Each edit of these steps is tied to a named function, struct or macro and to the tokens in it, and each fact is read
from the tree, never from its version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ....bundle import bundled
from ....c import Function, Source, Span, calls, find, function, functions, macro, macros, matches, parse, structs
from ....errors import UserError
from ....model import Edit
from ....series import render
from ....series.campaign import Change, Context
from ....series.codemod import (
    Alternative,
    Anchor,
    AnchorError,
    Editor,
    Outcome,
    Report,
    Scope,
    Selector,
    Text,
    contains,
    exactly,
    in_function,
    insert_after,
    insert_before,
    lost,
    macro_in,
    replace,
    require,
    resolve,
)
from ....series.diagnosis import unknown_names
from ....series.tree import Tree
from ..sites.classify import rcu_checks_null, reads_arena, writes_raw_memory

BTF_H = "include/linux/btf.h"
BTF_IDS_H = "include/linux/btf_ids.h"
TOOLS_BTF_IDS_H = "tools/include/linux/btf_ids.h"
BTF_C = "kernel/bpf/btf.c"
BPF_H = "include/linux/bpf.h"
MAKEFILE_BTF = "scripts/Makefile.btf"
RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/main.c"
RESOLVE_TEST = "tools/testing/selftests/bpf/prog_tests/resolve_btfids.c"
VERIFIER_H = "include/linux/bpf_verifier.h"
VERIFIER_C = "kernel/bpf/verifier.c"
STRICT = "process_kf_arg_ptr_to_btf_id"
#: The functions of BTF_C that the series adds: they check the flags of a kfunc, and those of one argument.
CHECK, CHECK_ARG = "btf_check_kfunc_arg_flags", "btf_check_kfunc_arg"
#: Where the checks of an argument end, where they see more than one flag, and what knows the suffixes of names.
CHECKED, ALONE, CONTRADICTED = "return NULL;", "if (hweight32(alone) > 1)", "btf_is_kfunc_arg_contradicted"
#: The suffixes of names that tell what an argument is, and the flags of the step verifier that go with them.
TELLING = {
    **dict.fromkeys(("__arena", "__arena__nullable", "__const_map", "__ign", "__irq_flag", "__iter", "__k"), "0"),
    **dict.fromkeys(("__map", "__prog", "__refcounted_kptr", "__str", "__sz", "__szk", "__uninit"), "0"),
    "__alloc": "KFA_RELEASE",
}
KFUNCS_RST = "Documentation/bpf/kfuncs.rst"

#: How long the line of a macro can get.
COLUMNS = 80

Done = Callable[[Source], bool] | str | None


def fragment(name: str, /, **words: Any) -> bytes:
    """Return C or reStructuredText from this campaign's templates."""
    return render.fragment("kfunc_flags", name, **words)


@dataclass(frozen=True)
class Place:
    """A scope in a file, and the anchors of edits in it; `done` is text in it after an edit, or a test for that."""

    path: str
    scope: Scope

    def before(self, name: str, what: Selector, text: Text, done: Done = None) -> Anchor:
        """Return the anchor of lines before the selection."""
        return insert_before(self.path, self._called(name), self.scope, what, text, self._seen(done))

    def after(self, name: str, what: Selector, text: Text, done: Done = None) -> Anchor:
        """Return the anchor of lines after the selection."""
        return insert_after(self.path, self._called(name), self.scope, what, text, self._seen(done))

    def instead(self, name: str, what: Selector, text: Text, done: Done = None, optional: str = "") -> Anchor:
        """Return the anchor of a text in place of the selection, without its last line end."""
        text = text.rstrip(b"\n") if isinstance(text, bytes) else text
        return replace(self.path, self._called(name), self.scope, what, text, self._seen(done), optional=optional)

    def _called(self, name: str) -> str:
        return ": ".join(filter(None, (self.scope.label if self.scope.name else "", name)))

    def _seen(self, done: Done) -> Callable[[Source], bool] | None:
        return contains(done, self.scope) if isinstance(done, str) else done


def one_shape(
    name: str,
    path: str,
    label: str,
    find: Callable[[Source], Sequence[Span]],
    edit: Editor,
    done: Callable[[Source], bool],
    within: Scope | None = None,
    pattern: str = "",
) -> Anchor:
    """Return an anchor of which only one shape is known; `within` is the scope that `find` looks in."""
    spans, owner = (within.spans, within.name) if within else (None, "")
    return Anchor(name, path, (Alternative(label, find, edit, done, spans, pattern, owner),))


def predicate(flag: str, meta: str, template: str, done: str) -> Anchor:
    """Return the anchor of a predicate in the verifier that says whether a kfunc has a flag."""
    place, body = Place(VERIFIER_C, in_function(f"is_kfunc_{flag}")), f"return meta->kfunc_flags & KF_{flag.upper()};"
    whole_function = exactly(f"static bool is_kfunc_{flag}(struct {meta} *meta)", body)
    return place.instead("", whole_function, fragment(template, meta=meta), contains(done))


def carry_out(
    context: Context, anchors: Sequence[Anchor], remarks: Sequence[str] = (), lacking: Sequence[Report] = ()
) -> Change:
    """Return the edits of `anchors`; raise AnchorError if one of them has no place in this tree.

    `lacking` is what else the tree must have but lacks.
    """
    edits, reports = resolve(context.tree, anchors)
    require([*lacking, *reports, *unknown_uses(context, edits)])
    return Change(tuple(edits), tuple(reports), tuple(remarks))


def carried(anchors: Callable[[Context], Sequence[Anchor]]) -> Callable[[Context], Change]:
    """Return the codemod that edits at a step's anchors."""
    return lambda context: carry_out(context, anchors(context))


def unknown_uses(context: Context, edits: Sequence[Edit]) -> list[Report]:
    """Return a report for each edit of the kernel that uses a name which this tree lacks.

    Names that the series adds count as known, even if a missing anchor prevents that.
    """
    found = []
    for edit, names in unknown_names(
        context.tree, [e for e in edits if not e.path.startswith("tools/testing/")]
    ).items():
        lacks = [name for name in names if name not in defined_by_templates()]
        if lacks:
            source = need_source(context.tree, edit.path)
            message = f"the text to put there uses {', '.join(lacks)}, which is not known there"
            line = source.line(edit.start)
            found.append(Report(edit.site, edit.path, line, Outcome.DRIFTED, "", message, False))
    return found


@cache
def defined_by_templates() -> frozenset[str]:
    """Return the names that this campaign's C defines: functions, macros and structs, and the members that it adds."""
    files = sorted((bundled("templates") / "kfunc_flags").glob("*.[ch].j2"))
    sources = [parse(p.name, re.sub(rb"\{[{%](?:.*?[%}]\}|.*)", b"x", p.read_bytes())) for p in files]
    found = (x.name for source in sources for kind in (functions, macros, structs) for x in kind(source))
    return frozenset((*found, "kfunc_arg_flags", "arg_flags"))


def insist_gone(context: Context, change: Change, path: str, names: Mapping[str, Sequence[str]]) -> Change:
    """Return `change`; raise AnchorError, with every place, if a name remains in a file after it.

    `names` gives for each name the C, as patterns, in which it may remain.
    """
    source = parse(path, context.tree.edit(e for e in change.edits if e.path == path).read(path))
    left = [
        f"{source.where(token.start)}: {name}() is still used, and this step has no replacement here"
        for name, fine in names.items()
        for token in find(source, name)
        if not any(token in span for pattern in fine for span in find(source, pattern))
    ]
    if left:
        raise AnchorError("\n".join(left))
    return change


def calls_with_meta(source: Source, callee: str, within: Span) -> list[Span]:
    """Return the calls of a predicate of kfuncs, `callee(meta)`, in a span."""
    return [c.span for c in calls(source, callee, within) if [source.at(a) for a in c.args] == [b"meta"]]


def strict_functions(source: Source, number: str, kind: str) -> list[Function]:
    """Return the functions that may match the type of an argument strictly, if they take its number like this."""
    return [f for f in function(source, STRICT) if (number, kind) in [(p.name, p.type) for p in f.params]]


def replace_calls(source: Source, span: Span, callee: str, new: bytes) -> list[Edit]:
    """Replace each `callee(meta)` in a span by `new`."""
    return [Edit(source.path, c.start, c.end, new) for c in calls_with_meta(source, callee, span)]


# Flags, which are macros of single bits


def single_flags(prefix: str) -> Selector:
    """Select the definitions of flags, which are single bits, by the prefix of their names."""

    def find(source: Source, span: Span) -> Sequence[Span]:
        return [m.span for m in macros(source) if m.name.startswith(prefix) and b"<<" in m.value and m.span in span]

    return Selector(f"#define {prefix}*", find)


def goes_with(suffix: str, flag: str) -> Anchor:
    """Return the anchor in the check of suffixes that lets a flag go with one of them."""
    scope, pattern = in_function(CONTRADICTED), f'{{ "{suffix}", $flags }}'

    def rows(source: Source) -> list[tuple[Span, bytes]]:
        found = [m for span in scope.spans(source) for m in matches(source, pattern, span)]
        return [(m.span, source.at(m.bindings["flags"])) for m in found]

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        held = next(text.decode() for at, text in rows(source) if at == span)
        both = flag if held == "0" else f"{held} | {flag}"
        return [Edit(source.path, span.start, span.end, f'{{ "{suffix}", {both} }}'.encode())]

    def done(source: Source) -> bool:
        return any(flag.encode() in text.split() for _, text in rows(source))

    def find_it(source: Source) -> Sequence[Span]:
        return [at for at, text in rows(source) if flag.encode() not in text.split()]

    return one_shape(f"{CONTRADICTED}(): {suffix}", BTF_C, f"`{pattern}`", find_it, edit, done, scope, pattern)


def used_bits(tree: Tree, prefix: str) -> set[int]:
    """Return the bits that flags have in BTF_H."""
    source = need_source(tree, BTF_H)
    shifts = [re.search(rb"1U?\s*<<\s*(\d+)", m.value) for m in macros(source) if m.name.startswith(prefix)]
    return {int(shift[1]) for shift in shifts if shift}


def free_bit(tree: Tree, prefix: str) -> int:
    """Return the bit after the highest one that a flag has in BTF_H."""
    return max(used_bits(tree, prefix), default=-1) + 1


def extend_flags(name: str, more: Sequence[str]) -> Anchor:
    """Return the anchor of a macro of several flags in BTF_H that gets `more` flags."""
    scope = macro_in(name)

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        end = source.text.rindex(b")", span.start, span.end)
        line = source.text[source.text.rindex(b"\n", 0, end) + 1 : end]
        new = b""
        for flag in more:
            item = f" | {flag}".encode()
            if len((line + item).expandtabs(8)) >= COLUMNS:
                new, line, item = new + b" | \\\n", b"\t\t\t ", item[3:]
                new += line
            new, line = new + item, line + item
        return [Edit(source.path, end, end, new)]

    def done(source: Source) -> bool:
        return any(all(find(source, flag, span) for flag in more) for span in scope.spans(source))

    def find_it(source: Source) -> Sequence[Span]:
        return [s for s in scope.spans(source) if source.at(s).rstrip().endswith(b")")]

    return one_shape(name, BTF_H, f"#define {name} (..)", find_it, edit, done, scope)


# Facts of a tree


def source_of(tree: Tree, path: str) -> Source | None:
    """Return a C file of the tree, None if it does not exist."""
    text = tree.get(path)
    return None if text is None else parse(path, text)


def need_source(tree: Tree, path: str) -> Source:
    """Return a C file of the tree; raise UserError if it does not exist."""
    return parse(path, tree.read(path))


def meta_struct(tree: Tree) -> tuple[str, str]:
    """Return the (struct, file) that holds the flags of a called kfunc; raise UserError unless there is exactly one."""
    paths = (VERIFIER_H, VERIFIER_C)
    found = [
        (s.name, path)
        for path in paths
        if (source := source_of(tree, path)) is not None
        for s in structs(source)
        if any(m.name == "kfunc_flags" for m in s.members)
    ]
    if len(found) != 1:
        names = ", ".join(f"struct {name} in {path}" for name, path in found) or "none"
        raise UserError(f"{' and '.join(paths)}: expected one struct with a member kfunc_flags, found {names}")
    return found[0]


def has_macros(tree: Tree, path: str, *names: str) -> bool:
    """Say whether a file of the tree defines all of these macros."""
    source = source_of(tree, path)
    return source is not None and all(macro(source, name) for name in names)


def implicit_arguments(tree: Tree) -> bool:
    """Say whether kfuncs can have implicit arguments."""
    return has_macros(tree, BTF_H, "KF_IMPLICIT_ARGS")


def releases_first(tree: Tree) -> bool:
    """Say whether KF_RELEASE is about the first argument, rather than about whichever is referenced.

    Raises UserError if the verifier shows neither.
    """
    source = need_source(tree, VERIFIER_C)
    # The call alone: the function is missing if this very step does not find its place.
    if any(find(source, f"meta->release_regno = {what};") for what in ("BPF_REG_1", "kfunc_release_regno($_)")):
        return True
    if any(find(source, "meta->release_regno = regno;", f.body) for f in function(source, "check_kfunc_args")):
        return False
    raise UserError(
        f"{VERIFIER_C}: nothing sets meta->release_regno to BPF_REG_1, nor check_kfunc_args() to regno, so it is "
        "unknown which argument KF_RELEASE is about"
    )


def told_release(tree: Tree) -> tuple[str, list[Anchor]]:
    """Return in words which argument KF_RELEASE is about, and a lost anchor if the tree does not show it."""
    try:
        return "the first argument" if releases_first(tree) else "the referenced argument", []
    except UserError as error:
        return "the first argument", [lost(VERIFIER_C, "what KF_RELEASE is about", str(error).partition(": ")[2])]


def words(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, Any]:
    """Return the variables of the commit messages of these steps and of cover-design.txt.j2."""
    return {
        "implicit": implicit_arguments(context.base),
        "arena": has_macros(context.base, BTF_H, "KF_ARENA_ARG1"),
        "fixed": releases_first(context.base),
        "null": rcu_checks_null(context.base.read(VERIFIER_C)),
        "acquire": "acquire" in context.steps,
        "suffixes": "suffixes" in context.steps,
        "decl_tags": "decl-tags" in context.steps,
        "rdonly": "rdonly" in context.steps,
        "uninit": "uninit" in context.steps and writes_raw_memory(context.base.read(VERIFIER_C)),
        "define": "define" in context.steps,
        "arena_step": {"arena", "resolve_btfids"} <= set(context.steps) and reads_arena(context.base),
        "pahole": says(context.base, MAKEFILE_BTF, "decl_tag_kfuncs"),
        "resolves_arena": reads_arena(context.base),
        "pahole_arena": says(context.base, MAKEFILE_BTF, "attributes"),
        "kf_bits": len(used_bits(context.base, "KF_")),
        "most_args": most_arguments(context.base),
        "shown": shown_row(context.base),
        "tool_checks": "resolve_btfids" in context.steps and says(context.base, RESOLVE_BTFIDS, "collect_kfuncs"),
        "compared": says(context.base, RESOLVE_TEST, "BTF_SET8_KFUNCS"),
        "machinery": has_macros(context.base, BTF_IDS_H, "BTF_KFUNC"),
    }


def says(tree: Tree, path: str, word: str) -> bool:
    """Say whether a file of the tree has a word."""
    return word.encode() in (tree.get(path) or b"")


def most_arguments(tree: Tree) -> int:
    """Return how many arguments a kfunc can have, 0 if the tree does not say."""
    source = source_of(tree, BPF_H)
    found = [int(m.value) for m in macro(source, "MAX_BPF_FUNC_ARGS") if m.value.isdigit()] if source else []
    return found[0] if len(found) == 1 else 0


def shown_row(tree: Tree) -> bool:
    """Say whether the tree has the row that the cover letter shows before and after its conversion."""
    source = source_of(tree, "kernel/bpf/helpers.c")
    return bool(source and find(source, "BTF_ID_FLAGS(func, bpf_iter_task_vma_new, KF_ITER_NEW | KF_RCU)"))
