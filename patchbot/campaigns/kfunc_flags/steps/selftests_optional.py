"""Make the steps that test what the optional steps add, in the same files as the step selftests.

Each follows its optional step and comes after the step selftests, so every patch compiles. Only whole lines are added:
the step selftests accepts a file that holds its text and more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ....c import Function, Source, Span, function, functions, prototypes
from ....series import codemod as a
from ....series.campaign import Change, Context
from ....series.tree import Tree
from .facts import BTF_H, Place, carry_out, fragment, has_macros, need_source
from .selftests import (
    INVALID,
    KFUNCS_H,
    PROGRAMS,
    SELFTESTS,
    SET,
    SHARED_FOLDER,
    TESTMOD,
    TESTS,
    no_folder,
    no_module,
    shared,
    testmod_folder,
    words_of,
)

#: The prefix of the names of the test kfuncs that have argument flags.
KFUNCS = "bpf_kfunc_arg_"
#: In the module of bad sets: the set that is not refused, and the table of those that are.
VALID, MALFORMED = "bpf_test_kfa_valid_ids", "malformed"
#: The test of decl tags, and its include.
TAGS_TEST, BTF_INCLUDE = "test_kfunc_arg_flags_decl_tags", "#include <bpf/btf.h>"
INCLUDE = re.compile(rb"^#include ", re.MULTILINE)


@dataclass(frozen=True)
class OptionalFlags:
    """The flags of another step: its templates begin with selftests-`step`- and hold `kfunc` and `bad`.

    A tree in which that step had nothing to do lacks the flags that it `needs`.
    """

    step: str
    kfunc: str
    bad: str
    needs: tuple[str, ...] = ()

    def template(self, name: str, facts: Mapping[str, Any]) -> bytes:
        """Return the text of one of the templates."""
        return fragment(f"selftests-{self.step}-{name}.j2", **facts)


RDONLY = OptionalFlags("rdonly", "bpf_kfunc_arg_rdonly_test", "bpf_test_kfa_rdonly_ids", ("KFA_RDONLY",))
UNINIT = OptionalFlags(
    "uninit", "bpf_kfunc_arg_uninit_mem_test", "bpf_test_kfa_uninit_mem_ids", ("KFA_UNINIT", "KFA_RDONLY")
)
SUFFIXES = OptionalFlags("suffixes", "bpf_kfunc_arg_nullable_test", "bpf_test_kfa_nullable_ids")
ACQUIRE = OptionalFlags("acquire", "bpf_kfunc_arg_acquire_test", "bpf_test_kfa_acquires_ids")


def extend(context: Context, anchors: Callable[[Context], Sequence[a.Anchor]], modules: bool) -> Change:
    """Return the edits of `anchors`, or why there are none; `modules` means that they include bad sets."""
    why = untested(context.tree)
    if why:
        return Change((), remarks=(why,))
    left_out = modules and testmod_folder(context.tree) != SHARED_FOLDER
    return carry_out(context, anchors(context), (no_module(),) if left_out else ())


def untested(tree: Tree) -> str:
    """Return why there is nothing to extend, "" if there is."""
    if testmod_folder(tree) is None:
        return no_folder()
    if tree.get(PROGRAMS) is None:
        return f"the flags are not tested: this tree has no {PROGRAMS}, which the step selftests adds"
    return ""


def anchors_added(context: Context, flags: OptionalFlags) -> list[a.Anchor]:
    """Return the anchors of the kfuncs, programs and bad sets for some flags."""
    tree, folder = context.tree, testmod_folder(context.tree)
    if untested(tree) or folder is None or not has_macros(tree, BTF_H, *flags.needs):
        return []
    facts = words_of(tree, folder)
    programs = flags.template("programs.c", facts)
    found = [
        *anchors_kfuncs(f"{SELFTESTS}/{folder}", flags, facts),
        Place(PROGRAMS, a.in_file()).after("the end of the programs", a.whole(), programs, f"{flags.kfunc}("),
    ]
    return found + (anchors_bad_sets(f"{SELFTESTS}/{folder}/{INVALID}.c", flags, facts) if shared(folder) else [])


anchors_rdonly, anchors_uninit, anchors_suffixes, anchors_acquire = (
    partial(anchors_added, flags=flags) for flags in (RDONLY, UNINIT, SUFFIXES, ACQUIRE)
)


def anchors_kfuncs(folder: str, flags: OptionalFlags, facts: Mapping[str, Any]) -> list[a.Anchor]:
    """Return the anchors of the test kfuncs, their rows and their prototypes."""
    source, header = (Place(f"{folder}/{name}", a.in_file()) for name in (f"{TESTMOD}.c", KFUNCS_H))
    there, row = f"{flags.kfunc}(", f"BTF_KFUNC({flags.kfunc}, $_)"
    kfuncs, rows, heads = (flags.template(name, facts) for name in ("testmod.c", "rows.c", "testmod.h"))
    return [
        source.after("the last test kfunc with flags of arguments", last_kfunc(functions), kfuncs, there),
        source.before(f"{SET}: its last row", a.tokens_like(f"BTF_KFUNCS_END({SET})"), rows, row),
        header.after(
            "the last prototype of a test kfunc with flags of arguments", last_kfunc(prototypes), heads, there
        ),
    ]


def last_kfunc(functions_of: Callable[[Source], Sequence[Function]]) -> a.Selector:
    """Select the last of the test kfuncs: of their definitions or of their prototypes."""

    def find(source: Source, span: Span) -> Sequence[Span]:
        return [f.span for f in functions_of(source) if f.name.startswith(KFUNCS)]

    return a.last_of(a.Selector(f"{KFUNCS}*()", find))


def anchors_bad_sets(path: str, flags: OptionalFlags, facts: Mapping[str, Any]) -> list[a.Anchor]:
    """Return the anchors of the refused sets, and of the rows of the one that is not refused."""
    bad, kfunc = Place(path, a.in_file()), flags.bad.removesuffix("_ids")
    names = ("invalid-kfuncs.c", "invalid-sets.c", "invalid-rows.c", "invalid-tests.c")
    kfuncs, sets, rows, tests = (flags.template(name, facts) for name in names)
    start = a.with_comment(a.tokens_like(f"BTF_KFUNCS_START({VALID})"))
    return [
        bad.before("the end of the kfuncs", a.tokens_like("__bpf_kfunc_end_defs();"), kfuncs, f"{kfunc}("),
        bad.before(f"{VALID}: before it", start, sets, f"BTF_SET8_START({flags.bad})"),
        bad.before(
            f"{VALID}: its last row", a.tokens_like(f"BTF_KFUNCS_END({VALID})"), rows, rows.decode().split("\n")[0]
        ),
        bad.before(f"{MALFORMED}[]: its last row", closing(MALFORMED), tests, f"&{flags.bad}"),
    ]


def closing(table: str) -> a.Selector:
    """Select the brace that ends the initialiser of a table."""
    scope = a.in_initialiser(table)

    def find(source: Source, span: Span) -> Sequence[Span]:
        return [Span(found.end - 1, found.end) for found in scope.spans(source)]

    return a.Selector(f"the end of {scope.label}", find)


def anchors_decl_tags(context: Context) -> list[a.Anchor]:
    """Return the anchors of the test of decl tags, none if there is nothing to extend."""
    tree, folder = context.tree, testmod_folder(context.tree)
    if untested(tree) or folder is None:
        return []
    known = {f.name for f in prototypes(need_source(tree, f"{SELFTESTS}/{folder}/{KFUNCS_H}"))}
    facts = {flags.step: flags.kfunc in known for flags in (SUFFIXES, ACQUIRE)}
    made = fragment("selftests-decl-tags.c.j2", **words_of(tree, folder), **facts)
    tags = re.findall(rb'"arg:\w+"', made)

    def there(source: Source) -> bool:
        return bool(function(source, TAGS_TEST)) and all(tag in source.text for tag in tags)

    def end(source: Source, span: Span) -> Sequence[Span]:
        return [] if function(source, TAGS_TEST) else [span]

    def includes(source: Source, span: Span) -> Sequence[Span]:
        return [Span(*found.span()) for found in INCLUDE.finditer(source.text)]

    include = a.first_of(a.Selector("#include", includes))
    return [
        a.insert_before(TESTS, "the includes", a.in_file(), include, f"{BTF_INCLUDE}\n", there),
        a.insert_after(
            TESTS, "the end of the tests", a.in_file(), a.Selector(f"the end, and no {TAGS_TEST}()", end), made, there
        ),
    ]
