"""Make the step selftests: kfuncs with argument flags in the test modules, and programs and sets that try them.

The programs come in pairs: one is accepted, and the other, which differs in one argument, is not. The messages of the
verifier, the places of the test modules and the lists of them are read from the tree. Much of this step is whole
files, for which the rule of anchors holds too: a file that exists already must have all lines of the wanted one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from ....c import Source, Span, calls, function, macro
from ....errors import UserError
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Change, Context
from ....series.tree import Tree
from ..sites.classify import rcu_checks_null
from . import facts
from .facts import BTF_H, VERIFIER_C, Place, fragment, implicit_arguments, one_shape

SELFTESTS = "tools/testing/selftests/bpf"
TESTMOD = "bpf_testmod"
#: The prototypes of the test module's kfuncs, which programs include.
KFUNCS_H = f"{TESTMOD}_kfunc.h"
#: A folder for all test modules, listed in one Makefile; earlier, each module had its own folder and rules.
SHARED_FOLDER = "test_kmods"
FOLDERS = (SHARED_FOLDER, TESTMOD)
SET = "bpf_testmod_common_kfunc_ids"
INVALID = "bpf_test_kfa_invalid"

#: A list in a Makefile, with its continuation lines, that names the test module.
LISTED = re.compile(
    rb"(?<!\\\n)^\w+[ \t]*:?=(?>(?:[^\\\n#]|\\\n)*?\b" + TESTMOD.encode() + rb"\.ko\b)(?:[^\\\n#]|\\\n)*+$",
    re.MULTILINE,
)
PROGRAMS, TESTS = (f"{SELFTESTS}/{name}/kfunc_arg_flags.c" for name in ("progs", "prog_tests"))
TAB, COLUMNS = 8, 80

#: What is said of a kernel object in place of memory: some verifiers look no further than at its type.
OBJECT = {
    "%s %s pointer type %s %s is not supported": "is not supported",
    "%s args#%d pointer type %s %s is not supported": "is not supported",
    "only read is supported": "only read is supported",
}
#: The verifier's messages, by the format in its source: about a released argument without a reference,
UNREFERENCED = {
    "release kfunc %s expects referenced PTR_TO_BTF_ID passed to %s": (
        "release kfunc {kfunc} expects referenced PTR_TO_BTF_ID passed to R2"
    ),
    "release kernel function %s expects refcounted PTR_TO_BTF_ID": (
        "release kernel function {kfunc} expects refcounted PTR_TO_BTF_ID"
    ),
}
#: about one that was released before,
GONE = {
    "release kfunc %s expects referenced PTR_TO_BTF_ID passed to %s": (
        "expects referenced PTR_TO_BTF_ID passed to R{register}"
    ),
    "arg#%d pointer type %s %s must point to %sscalar": (
        "arg#{number} pointer type STRUCT bpf_testmod_ctx must point to"
    ),
}
#: and its name for an argument that is NULL.
ARGUMENT = {
    "NULL pointer passed to trusted %s": "R{register}",
    "NULL pointer passed to trusted arg%d": "arg{number}",
}


def selftests(context: Context) -> Change:
    """Test argument flags."""
    folder = testmod_folder(context.tree)
    if folder is None:
        return Change((), remarks=(no_folder(),))
    edits, reports = a.resolve(context.tree, anchors(context))
    for path, text in new_files(context.tree, folder).items():
        created, report = new_file(context.tree, path, text)
        edits += created
        reports.append(report)
    a.require(reports)
    return Change(tuple(edits), tuple(reports), () if shared(folder) else (no_module(),))


def no_folder() -> str:
    """Say why nothing is tested in a tree without a test module."""
    looked = " and no ".join(f"{SELFTESTS}/{name}/{KFUNCS_H}" for name in FOLDERS)
    return f"the flags are not tested: this tree has no {looked}"


def no_module() -> str:
    """Say why refused sets are not tested if each test module has its own rules."""
    return f"sets that are refused are not tested: {SELFTESTS} has no {SHARED_FOLDER}"


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step selftests, none if the tree has no test module."""
    folder = testmod_folder(context.tree)
    if folder is None:
        return []
    source, header = (f"{SELFTESTS}/{folder}/{name}" for name in (f"{TESTMOD}.c", KFUNCS_H))
    variables = words_of(context.tree, folder)
    kfuncs = fragment("selftests-testmod.c.j2", **variables)
    defined = a.contains("bpf_kfunc_arg_release_test(u64 num, struct bpf_testmod_ctx *ctx)")
    name = "the kfuncs on struct bpf_testmod_ctx: after them"
    destructor = a.tokens_like("CFI_NOSEAL(bpf_testmod_ctx_release_dtor);")
    found = [
        a.either(
            name,
            a.insert_after(source, name, a.in_file(), destructor, kfuncs, defined),
            a.insert_after(source, name, a.in_function("bpf_testmod_ctx_release"), a.whole(), kfuncs, defined),
        ),
        Place(source, a.in_file()).before(
            f"{SET}: its last row",
            a.tokens_like(f"BTF_KFUNCS_END({SET})"),
            fragment("selftests-testmod-rows.c.j2", **variables),
            "BTF_KFUNC(bpf_kfunc_arg_release_test, $_)",
        ),
        a.insert_after(
            header,
            "the prototypes of the kfuncs on struct bpf_testmod_ctx: after them",
            a.in_prototype("bpf_testmod_ctx_release"),
            a.whole(),
            fragment("selftests-testmod.h.j2", **variables),
            a.contains("bpf_kfunc_arg_release_test("),
        ),
    ]
    if shared(folder):
        found += [listed(f"{SELFTESTS}/Makefile"), listed(f"{SELFTESTS}/{folder}/Makefile")]
    return found


def listed(path: str) -> a.Anchor:
    """Return the anchor of the list of test modules in a Makefile."""
    module = f"{INVALID}.ko".encode()

    def find(source: Source) -> Sequence[Span]:
        return [Span(*match.span()) for match in LISTED.finditer(source.text)]

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        line = source.at(span).rstrip().rpartition(b"\n")[2] + b" " + module
        fits = len(line.expandtabs(TAB)) <= COLUMNS
        at = span.start + len(source.at(span).rstrip())
        return [Edit(source.path, at, at, (b" " if fits else b" \\\n\t") + module)]

    def done(source: Source) -> bool:
        return any(module in source.at(span) for span in find(source))

    return one_shape("the list of test modules", path, f"a list with {TESTMOD}.ko", find, edit, done)


def new_files(tree: Tree, folder: str) -> dict[str, bytes]:
    """Return {path: text} of the files that this step adds."""
    variables = words_of(tree, folder)
    made = {
        PROGRAMS: fragment("selftests-programs.c.j2", **variables),
        TESTS: fragment("selftests-tests.c.j2", **variables),
    }
    if shared(folder):
        made[f"{SELFTESTS}/{folder}/{INVALID}.c"] = fragment("selftests-invalid.c.j2", **variables)
    return made


def new_file(tree: Tree, path: str, text: bytes) -> tuple[list[Edit], a.Report]:
    """Return the edit that adds a file (none if it exists already) and its report."""
    name = "a new file"
    there = tree.get(path)
    if there is None:
        edit = Edit(path, 0, 0, text, site=path, create=True)
        return [edit], a.Report(name, path, None, a.Outcome.APPLIED, name, "", False)
    old, new = (lines.split(b"\n") for lines in (text, there))
    rest = iter(new)
    if all(line in rest for line in old):
        return [], a.Report(name, path, None, a.Outcome.ALREADY, name, "this tree already has it", False)
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    line = next((first + 1 for what, _, _, first, _ in changes if what in ("replace", "delete")), None)
    message = "the file exists, but lacks some of the text that this step adds"
    return [], a.Report(name, path, line, a.Outcome.DRIFTED, name, message, False)


# Facts of a tree


def testmod_folder(tree: Tree) -> str | None:
    """Return the folder of the test module below the selftests of BPF, None if programs cannot use its kfuncs."""
    return next((name for name in FOLDERS if tree.get(f"{SELFTESTS}/{name}/{KFUNCS_H}") is not None), None)


def shared(folder: str) -> bool:
    """Say whether a folder is the one of all test modules."""
    return folder == SHARED_FOLDER


def words_of(tree: Tree, folder: str) -> dict[str, Any]:
    """Return the variables of the C of this step."""
    header, verifier = facts.need_source(tree, BTF_H), tree.read(VERIFIER_C)
    first, second = (said(verifier, ARGUMENT).format(register=n + 1, number=n) for n in (0, 1))
    objects = checks_objects(facts.need_source(tree, VERIFIER_C))
    gone_first, gone_second = (said(verifier, GONE).format(register=n + 1, number=n) for n in (0, 1))
    return {
        "folder": folder,
        "implicit": implicit_arguments(tree),
        "module": shared(folder),
        "null": rcu_checks_null(verifier),
        "trusted": "KF_TRUSTED_ARGS" if macro(header, "KF_TRUSTED_ARGS") else "0",
        "first": first,
        "second": second,
        "gone_first": gone_first,
        "gone_second": gone_second,
        "objects": objects,
        "object": said(verifier, OBJECT) if objects else "",
        "unreferenced": said(verifier, UNREFERENCED).format(kfunc="bpf_kfunc_arg_release_task_test"),
    }


def checks_objects(verifier: Source) -> bool:
    """Say whether the check of memory tells reading a kernel object from writing it."""
    return any(
        b"access_type" in map(verifier.at, call.args)
        for f in function(verifier, "check_helper_mem_access")
        for call in calls(verifier, "check_ptr_to_btf_access", f.body)
    )


def said(verifier: bytes, messages: Mapping[str, str]) -> str:
    """Return the text of a program's log, by the first format that the verifier has."""
    for form, message in messages.items():
        if form.encode() in verifier:
            return message
    raise UserError(f"{VERIFIER_C}: it has none of the messages {', '.join(map(repr, messages))} that selftests expect")


def words(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, Any]:
    """Return the variables of the commit message."""
    folder = testmod_folder(context.base)
    objects = checks_objects(facts.need_source(context.base, VERIFIER_C))
    module = folder is not None and shared(folder)
    return {**facts.words(context, key, edits), "module": module, "objects": objects}
