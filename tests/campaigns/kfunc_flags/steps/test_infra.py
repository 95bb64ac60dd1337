"""The infrastructure steps of kfunc_flags, on files that hold just their anchors and on real kernels.

tests/golden/kfunc_flags/infra-*/before is what a step meets, after is what all of them make of it: `first` is a
verifier in which KF_RELEASE is about the first argument, `referenced` one in which it is about the referenced one.
Their resolve_btfids differ as well: that of `referenced` has no header with the macros and no list of what it does.
"""

from __future__ import annotations

import itertools
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RealKernel
from elftools.elf.elffile import ELFFile
from tinytree import TESTS, commit

from patchbot.c import find, function, functions, macros, parse, structs, tokens
from patchbot.campaigns.kfunc_flags.campaign import STEPS as ALL_STEPS
from patchbot.campaigns.kfunc_flags.steps import (
    facts,
    features,
    suffixes,
    verifier,
)
from patchbot.config import CampaignConfig
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series import render
from patchbot.series.campaign import Change, Context
from patchbot.series.codemod import AnchorError, Outcome, resolve
from patchbot.series.tree import Tree

GOLDEN = TESTS / "golden" / "kfunc_flags"
SHAPES = ("first", "referenced")
STEPS = {s.name: (s.codemod, s.anchors) for s in ALL_STEPS if s.anchors and "selftests" not in s.name}
#: Anchors that are made for what is found, so that nothing is missed where nothing is found.
FOUND = ("meta of the kfunc", "arguments with suffixes", "both accesses")
#: Anchors that are the first or the last of several.
ONE_OF_SEVERAL = (
    "the last flag of kfuncs",
    "the last flag of arguments",
    "its last member",
    "the first predicate of a suffix",
)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    made = {}
    for shape in SHAPES:
        path = tmp_path_factory.mktemp(shape)
        run(["git", "init", "-q", "--template=", "-b", "master", path])
        made[shape] = (path, commit(path, "base", files(GOLDEN / f"infra-{shape}" / "before")))
    return {shape: Tree(Repo.open(path), sha) for shape, (path, sha) in made.items()}


def context(tree: Tree, base: Tree | None = None) -> Context:
    return Context(tree, base or tree, CampaignConfig("kfunc_flags"), tuple(STEPS))


def stages(base: Tree, without: tuple[str, ...] = ()) -> Iterator[tuple[str, Context, Change]]:
    """Yield each step that the tree allows, what it sees and what it does, one on the other."""
    tree = base
    for name, (codemod, _) in STEPS.items():
        if name in without:
            continue
        if name in ("decl-tags", "bpftool") and b"\nstatic int btf2btf(" not in (base.get(facts.RESOLVE_BTFIDS) or b""):
            continue
        seen = context(tree, base)
        change = codemod(seen)
        yield name, seen, change
        tree = tree.edit(change.edits)


def finished(base: Tree, without: tuple[str, ...] = ()) -> Tree:
    tree = base
    for _, _, change in stages(base, without):
        tree = tree.edit(change.edits)
    return tree


@pytest.mark.parametrize("shape", SHAPES)
def test_all_steps_make_the_golden_files(trees, shape):
    tip = finished(trees[shape])
    wanted = files(GOLDEN / f"infra-{shape}" / "after")
    assert {path: tip.read(path) for path in wanted} == wanted
    assert set(files(GOLDEN / f"infra-{shape}" / "before")) == set(wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_flag_comes_with_the_code_that_obeys_it(trees, shape):
    """No patch makes the kernel accept a flag that means nothing yet."""
    tree, known = trees[shape], set()
    for name, _, change in stages(tree):
        tree = tree.edit(change.edits)
        header = parse(facts.BTF_H, tree.read(facts.BTF_H))
        flags = {m.name for m in macros(header) if m.name.startswith("KFA_") and b"<<" in m.value}
        valid = b" ".join(m.value for m in macros(header) if m.name == "KFA_VALID_FLAGS")
        assert {f for f in flags if re.search(rf"\b{f}\b", valid.decode())} == flags, name
        obeying = facts.RESOLVE_BTFIDS if name == "arena" else facts.VERIFIER_C
        for path in (obeying, facts.KFUNCS_RST) if flags - known else ():
            lost = {f for f in flags - known if f.encode() not in tree.read(path)}
            assert not lost or (name, path) == ("verifier", facts.KFUNCS_RST), (name, path)
        known = flags
    assert known >= {"KFA_RELEASE", "KFA_RCU"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_second_run_changes_nothing(trees, shape):
    again(finished(trees[shape]))


def again(tip: Tree) -> None:
    for name, _, change in stages(tip):
        assert not change.edits, name
        assert all(r.outcome is Outcome.ALREADY or r.optional for r in change.reports), name


@pytest.mark.parametrize("shape", SHAPES)
def test_a_missing_anchor_is_named(trees, shape):
    assert spoiled(trees[shape], lambda text, start, end: text[:start] + text[end:], skip=FOUND) > 30


@pytest.mark.parametrize("shape", SHAPES)
def test_a_doubled_anchor_is_ambiguous(trees, shape):
    def double(text: bytes, start: int, end: int) -> bytes:
        between = b"" if text[start:end].endswith(b"\n") else b" "
        return text[:end] + between + text[start:end] + text[end:]

    assert spoiled(trees[shape], double, skip=(*FOUND, *ONE_OF_SEVERAL), once=True) > 30


def spoiled(base: Tree, spoil: Callable[[bytes, int, int], bytes], skip: tuple[str, ...], once: bool = False) -> int:
    """Spoil each anchor of each step in turn, insist that the step stops and names it; return how many there were."""
    count = 0
    for name, seen, _ in stages(base):
        codemod, anchors_of = STEPS[name]
        for anchor in anchors_of(seen):
            if anchor.optional or anchor.name.endswith(skip):
                continue
            (path,) = (anchor.path,) if isinstance(anchor.path, str) else anchor.path
            text = seen.tree.read(path)
            for alternative in anchor.alternatives:
                while spans := alternative.find(parse(path, text)):
                    text = spoil(text, spans[0].start, spans[0].end)
                    if once:
                        break
            with pytest.raises(UserError) as caught:
                codemod(context(seen.tree.overlaid({path: text}), base))
            assert path in str(caught.value), anchor.name
            if isinstance(caught.value, AnchorError) and not re.search(
                "in a way|expected one struct", str(caught.value)
            ):
                assert anchor.name in str(caught.value)
            count += 1
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_of_a_patch_has_drifted(trees, shape):
    for name, seen, change in stages(trees[shape]):
        if len({r.anchor for r in change.reports}) < 2:
            continue
        codemod, anchors_of = STEPS[name]
        edits, _ = resolve(seen.tree, anchors_of(seen)[:1])
        with pytest.raises(AnchorError, match="only a part of this patch"):
            codemod(context(seen.tree.edit(edits), trees[shape]))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_acquired_argument_is_matched_as_before(trees, shape):
    """What KF_ACQUIRE accepts, KFA_ACQUIRE accepts."""
    seen, change = next((seen, change) for name, seen, change in stages(trees[shape]) if name == "acquire")
    before, after = (
        parse(facts.VERIFIER_C, t.read(facts.VERIFIER_C)) for t in (seen.tree, seen.tree.edit(change.edits))
    )
    matching = [source.at(f.span) for source in (before, after) for f in function(source, facts.STRICT)]
    assert len(matching) == 2
    assert matching[0] == matching[1]


def test_a_use_of_a_predicate_that_is_gone_is_an_error(trees):
    path = facts.VERIFIER_C
    more = b"\nstatic bool also(struct bpf_call_arg_meta *meta)\n{\n\treturn is_kfunc_rcu(meta);\n}\n"
    seen = next(seen for name, seen, _ in stages(trees["first"]) if name == "verifier")
    tree = seen.tree.overlaid({path: seen.tree.read(path) + more})
    with pytest.raises(AnchorError, match=rf"{path}:\d+: is_kfunc_rcu\(\) is still used"):
        verifier.verifier(context(tree, trees["first"]))


def test_a_predicate_that_does_more_is_not_rewritten(trees):
    seen = next(seen for name, seen, _ in stages(trees["first"]) if name == "suffixes")
    old = b'btf_param_match_suffix(btf, arg, "__k")'
    text = seen.tree.read(facts.VERIFIER_C)
    assert text.count(old) == 1
    tree = seen.tree.overlaid({facts.VERIFIER_C: text.replace(old, old + b" && arg->type")})
    with pytest.raises(AnchorError, match=r"is_kfunc_arg_constant\(\) uses arg in a way"):
        STEPS["suffixes"][0](context(tree))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_constant_or_ignored_is_not_taken_for_a_size(trees, shape):
    """Else the memory before it would be checked by nobody, as its size is not classified as one."""
    source = parse(facts.VERIFIER_C, finished(trees[shape], without=("define",)).read(facts.VERIFIER_C))
    for flag in ("KFA_SZ", "KFA_CONST_SZ"):
        asked = [find(source, f"{name}($m, $n, {flag}, $s)") for name in (suffixes.ANNOTATED, suffixes.ANNOTATED_SIZE)]
        assert (len(asked[0]), bool(asked[1])) == (0, True), flag
    (size,) = function(source, suffixes.ANNOTATED_SIZE)
    assert {flag for flag in ("KFA_CONST", "KFA_IGN") if find(source, flag, size.body)} == {"KFA_CONST", "KFA_IGN"}


def test_an_argument_without_a_number_is_not_guessed(trees):
    seen = next(seen for name, seen, _ in stages(trees["first"]) if name == "suffixes")
    old = b"is_kfunc_arg_ignore(btf, &args[i])"
    text = seen.tree.read(facts.VERIFIER_C)
    tree = seen.tree.overlaid({facts.VERIFIER_C: text.replace(old, b"is_kfunc_arg_ignore(btf, arg)")})
    with pytest.raises(AnchorError, match="the number of the argument is unknown"):
        STEPS["suffixes"][0](context(tree))


def test_without_btf_a_row_is_as_empty_as_before(trees):
    plain = finished(trees["first"], without=("define",))
    before, after = (t.read(facts.BTF_IDS_H).split(b"#else")[1] for t in (trees["first"], plain))
    assert after == before.replace(
        b"#define BTF_ID_FLAGS(prefix, name, ...)\n",
        b"#define BTF_ID_FLAGS(prefix, name, ...)\n#define BTF_KFUNC(name, flags, arg0_flags, ...)\n",
    )


def test_a_copy_in_tools_without_the_macros_is_left_alone_and_said(trees):
    change = STEPS["btf_ids"][0](context(trees["referenced"]))
    assert facts.TOOLS_BTF_IDS_H not in {e.path for e in change.edits}
    assert [r for r in change.remarks if facts.TOOLS_BTF_IDS_H in r]


def test_a_tree_without_count_args_is_refused(trees, tmp_path):
    shutil.copytree(GOLDEN / "infra-first" / "before", tmp_path / "tree")
    (tmp_path / "tree/include/linux/args.h").unlink()
    run(["git", "init", "-q", "--template=", "-b", "master", tmp_path / "tree"])
    tree = Tree(Repo.open(tmp_path / "tree"), commit(tmp_path / "tree", "base"))
    with pytest.raises(UserError, match=r"include/linux/args\.h: .*the file does not exist"):
        STEPS["btf_ids"][0](context(tree))


@pytest.mark.parametrize("text", [None, b"int main(void)\n{\n\treturn 0;\n}\n"])
def test_decl_tags_need_a_tool_that_writes_btf(trees, text):
    path = facts.RESOLVE_BTFIDS
    tree = trees["first"].overlaid({path: text})
    with pytest.raises(UserError, match=rf"{path}: it .*so it cannot emit decl tags"):
        STEPS["decl-tags"][0](context(tree))


def test_a_table_of_tags_without_a_flag_is_no_table(trees):
    tip = finished(trees["first"])
    header = tip.read(facts.BTF_H)
    more = header.replace(b"#define KFA_RCU\t", b"#define KFA_MORE\t(1 << 30)\n#define KFA_RCU\t")
    with pytest.raises(AnchorError, match="struct kfunc: before it"):
        STEPS["decl-tags"][0](context(tip.overlaid({facts.BTF_H: more})))


#: The facts of a tree, and the steps, that only the cover letter asks for.
ASKED = (
    *("by_set", "more", "tool_checks", "pahole", "resolves_arena", "pahole_arena", "arena_step", "shown", "define"),
    *("suffixes", "owned", "compared"),
)


@pytest.mark.parametrize("flags", list(itertools.product((True, False), repeat=5)))
@pytest.mark.parametrize("name", STEPS)
def test_messages_fit_a_mail(name, flags):
    words = dict.fromkeys(ASKED, flags[4]) | {"kf_bits": 17, "most_args": 12 * flags[0], "rdonly": flags[0]}
    words |= dict(zip(("implicit", "arena", "fixed", "acquire", "decl_tags"), flags, strict=True))
    words |= {
        "uninit": flags[0],
        "null": flags[1],
        "features": [("memory is only read", "MEM_RDONLY", "no")] * flags[2],
    }
    message = render.message("kfunc_flags", None, f"{name}.txt.j2", **words)
    subject = message.split("\n")[0]
    assert subject.startswith(("bpf: ", "bpf, docs: ", "resolve_btfids: ", "tools/resolve_btfids: ", "bpftool: "))
    assert len(subject.split(": ", 1)[1]) <= 70
    assert max(map(len, message.split("\n"))) <= 75
    design = render.render("kfunc_flags/cover-design.txt.j2", **words)
    assert all(len(line) <= 75 or "://" in line for line in design.split("\n"))


@pytest.mark.parametrize(
    ("subjects", "rdonly", "uninit"),
    [
        (["a: Use KFA_RCU for a kfuncs"], False, False),
        (["a: Accept read-only memory in a kfuncs", "a: Use KFA_RCU for a kfuncs"], True, False),
        (["a: Accept uninitialized memory in a kfuncs", "a: Use KFA_RCU for a kfuncs"], False, True),
        (["a: Accept read-only memory in kfuncs", "b: Accept uninitialized memory in kfuncs"], True, True),
    ],
)
def test_a_follow_up_says_what_programs_gain(subjects, rdonly, uninit):
    said = render.render("kfunc_flags/cover-gains.txt.j2", patches=[(subject, "") for subject in subjects])
    assert ("KFA_RDONLY" in said, "KFA_UNINIT" in said) == (rdonly, uninit)
    assert ("Otherwise, which programs" in said) == (rdonly or uninit)
    more = [("selftests/bpf: Test KFA_ACQUIRE", ""), *((subject, "") for subject in subjects)]
    assert "programs the verifier accepts" not in render.render("kfunc_flags/cover-gains.txt.j2", patches=more)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_letter_says_of_the_tree_what_is_true_there(trees, shape):
    def letter(off: tuple[str, ...] = (), **files: bytes) -> str:
        names = {"makefile": facts.MAKEFILE_BTF, "resolve": facts.RESOLVE_BTFIDS, "helpers": "kernel/bpf/helpers.c"}
        files = {"resolve": b"\n", **files}
        tree = trees[shape].overlaid({**{names[k]: text for k, text in files.items()}, facts.BTF_H: header})
        seen = context(tree)
        seen = replace(seen, steps=tuple(s for s in seen.steps if s not in off))
        text = render.render("kfunc_flags/cover-design.txt.j2", **features.prose(seen))
        return " ".join(text.split())

    header = b"".join(b"#define KF_F%d (1 << %d)\n" % (n, n) for n in range(7))
    assert "pahole, and the linker" not in letter()
    assert "so its released versions would break" not in letter(makefile=b"--btf_features=decl_tag,layout\n")
    assert "resolve_btfids, pahole and the linker" in letter(makefile=b"--btf_features=layout,decl_tag_kfuncs\n")
    assert "7 of the 32 bits are used" in letter()
    assert "KFA_ARENA" not in letter(resolve=b"flags & KF_ARENA_ARG1;\n"), "this tree has no such flag"
    header += b"#define KF_ARENA_ARG1 (1 << 14)\n"
    assert "8 of the 32 bits are used" in letter()
    assert "KFA_ARENA" not in letter(), "nothing in this tree reads it"
    assert "KFA_ARENA does what KF_ARENA_ARG1 and" in letter(resolve=b"flags & KF_ARENA_ARG1;\n")
    assert "yet: resolve_btfids reads KF_ARENA_ARG1" in letter(("arena",), resolve=b"flags & KF_ARENA_ARG1;\n")
    assert "yet: pahole reads KF_ARENA_ARG1" in letter(makefile=b"--btf_features=attributes\n")
    row = b"BTF_ID_FLAGS(func, bpf_iter_task_vma_new, KF_ITER_NEW | KF_RCU)\n"
    assert "before and after" in letter(helpers=b"BTF_KFUNCS_START(common_btf_ids)\n" + row)
    assert "before and after" not in letter(helpers=row.replace(b" | KF_RCU", b""))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_letter_says_what_kfuncs_lack_where_the_tree_shows_it(trees, shape):
    def told(header: str, old: bytes = b"", new: bytes = b"") -> list[tuple[str, str]]:
        text = trees[shape].read(facts.VERIFIER_C).replace(old, new)
        tree = trees[shape].overlaid({facts.BPF_H: f"enum {{ {header} }};".encode(), facts.VERIFIER_C: text})
        return [(helper, kfunc) for _, helper, kfunc in features.features(context(tree))]

    released = "no" if shape == "referenced" else "KFA_RELEASE"
    assert told("MEM_RDONLY, OBJ_RELEASE") == [
        ("MEM_RDONLY", "KFA_RDONLY"),
        ("OBJ_RELEASE", "KFA_RELEASE"),
        ("OBJ_RELEASE", released),
    ]
    assert told("ARG_PTR_TO_MAP_KEY") == [("ARG_PTR_TO_MAP_KEY", "no")]
    assert not told("ARG_PTR_TO_MAP_KEY", b"case KF_ARG_PTR_TO_BTF_ID:", b"case KF_ARG_PTR_TO_MAP_KEY:")
    assert told("ARG_CONST_SIZE") == [("ARG_CONST_SIZE", "no")]
    assert not told("ARG_CONST_SIZE", b"BPF_WRITE, true", b"BPF_WRITE, false")


@pytest.mark.kernel
def test_real_kernels_take_all_steps_once(kernel: RealKernel):
    base = kernel.tree
    source = parse(facts.VERIFIER_C, base.read(facts.VERIFIER_C))
    if not function(source, "is_kfunc_rcu"):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    tip = finished(base)
    again(tip)
    assert tip.overlay.keys() >= {facts.BTF_IDS_H, facts.BTF_H, facts.BTF_C, facts.VERIFIER_C, facts.KFUNCS_RST}
    source = parse(facts.VERIFIER_C, tip.read(facts.VERIFIER_C))
    filling = [f.name for f in functions(source) if verifier.sets_member(source, f)]
    twins = [f.name for f in functions(source) if find(source, "btf_kfunc_arg_flags(", f.body)]
    assert filling == twins != []
    for suffix in suffixes.SUFFIXES:
        assert not [f.name for f in functions(source) if suffixes.old_uses(source, f)], suffix.text


@pytest.mark.kernel
def test_real_kernels_take_the_optional_step_or_not(kernel: RealKernel):
    """Without the optional steps, nothing of them is in the text."""
    base = kernel.tree
    tree = base
    for _, _, change in stages(base, without=("suffixes", "acquire", "decl-tags", "bpftool")):
        tree = tree.edit(change.edits)
    words = {t.text for path in tree.overlay for t in tokens(tree.read(path))}
    assert b"KFA_RCU" in words
    assert not words & {b"KFA_NULLABLE", b"KFA_SZ", b"is_kfunc_arg_annotated", b"KFA_ACQUIRE", b"kfunc_arg_tags"}


PROGRAM = """\
#include <linux/btf_ids.h>
#define KFA (1 << 1)
BTF_KFUNCS_START(one)
BTF_ID_FLAGS(func, plain)
BTF_ID_FLAGS(func, flagged, 4)
BTF_KFUNC(with_args, 4, 0, KFA | 8, 16)
BTF_KFUNCS_END(one)
BTF_KFUNCS_START(none)
BTF_ID_FLAGS(func, alone, 32)
BTF_KFUNCS_END(none)
BTF_KFUNCS_START(most)
BTF_KFUNC(twelve, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
BTF_KFUNC(single, 0, KFA)
BTF_KFUNCS_END(most)
"""


@pytest.mark.kernel
@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_records_stand_behind_the_sets(kernel: RealKernel, tmp_path):
    """The assembler makes what btf.c reads: a set, what its tools count, the trailer, and the records it points to."""
    tree = finished(kernel.tree)
    where = tmp_path / "linux"
    where.mkdir()
    for name in ("btf_ids.h", "args.h", "stringify.h"):
        (where / name).write_bytes(tree.read(f"include/linux/{name}"))
    (where / "types.h").write_text("typedef unsigned int u32; typedef int s32;\n")
    (where / "compiler.h").write_text("#define ___PASTE(a, b) a##b\n#define __PASTE(a, b) ___PASTE(a, b)\n")
    (where / "compiler_attributes.h").write_text("")
    (where / "build_bug.h").write_text("#define static_assert _Static_assert\n")
    (tmp_path / "program.c").write_text(PROGRAM)
    compiler = ["gcc", "-DCONFIG_DEBUG_INFO_BTF", "-I", tmp_path, "-c", "-o", tmp_path / "program.o"]
    run([*compiler, tmp_path / "program.c"])
    with (tmp_path / "program.o").open("rb") as stream:
        elf = ELFFile(stream)
        data = elf.get_section_by_name(".BTF_ids").data()
        assert not elf.get_section_by_name(".rela.BTF_ids")
        symbols = {s.name: (s["st_value"], s["st_size"]) for s in elf.get_section_by_name(".symtab").iter_symbols()}
    assert not [name for name in symbols if "kfunc_args" in name]
    assert records(data, symbols, "one") == (3, [[0, 3, 0, 10, 16]])
    assert records(data, symbols, "none") == (1, [])
    assert records(data, symbols, "most") == (2, [[0, 12, *range(1, 13)], [0, 1, 2]])
    (tmp_path / "program.c").write_text(PROGRAM.replace("11, 12)", "11, 12, 13)"))
    assert run([*compiler, tmp_path / "program.c"], check=False).returncode != 0


def records(data: bytes, symbols: dict[str, tuple[int, int]], name: str) -> tuple[int, list[list[int]]]:
    """Return the number of pairs of a set and its records."""
    start, size = symbols[f"__BTF_ID__set8__{name}"]
    assert symbols[name][0] == start
    assert struct.unpack_from("<I", data, start + 4)[0] == 0b11
    off, length = struct.unpack_from("<iI", data, start + size)
    at, end, found = start + off, start + off + length, []
    while at < end:
        count = struct.unpack_from("<I", data, at + 4)[0]
        found.append(list(struct.unpack_from(f"<{2 + count}I", data, at)))
        at += 8 + 4 * count
    assert at == end
    return size // 8 - 1, found


#: Every case of registration.c and what it prints: 0 is registered, -22 is EINVAL, and what the kernel says.
REGISTRATION = """
accepted 0
flags 2 1 0 0
same-again 0 1
longer-with-zeros 0
differs -22 has inconsistent flags of argument 1
has-none-now -22 has inconsistent flags of argument 0
attached 0
old-set 0
had-none -22 has inconsistent flags of argument 0
was-attached 0
attached-with-flags -22 has flags of arguments
sorted 0
found 1 2 0
known-and-new 0 4
empty 0
unknown -22 a flag is unknown
no-such-argument -22 there is no such argument
no-such-ignored -22 there is no such argument
trailing-zero 0
too-many -22 there is no such argument
scalar -22 it is not a pointer
scalar-behind-pointer -22 it is not a pointer
struct -22 it is not a pointer
two-released -22 another argument is released, too
fifth-released 0
sixth-released -22 what is released has to be in a register
both-release -22 KFA_RELEASE and KF_RELEASE
both-rcu -22 KFA_RCU and KF_RCU
release-and-kf-rcu 0
not-in-set -22 has unexpected flags of arguments
twice -22 has unexpected flags of arguments
torn-head -22 has a record of argument flags that is cut off
torn-flags -22 has a record of argument flags that is cut off
huge -22 has a record of argument flags that is cut off
ignored 0
ignored-and-more -22 these flags exclude each other
size 0
size-of-nothing -22 it is not behind memory
size-of-scalar -22 it is not behind memory
size-pointer -22 it is not a number
constant 0
constant-and-size -22 these flags exclude each other
nullable-scalar -22 it is not a pointer
acquired 0
acquired-rcu 0
acquired-other-released 0
acquired-twice -22 another argument is returned, too
acquired-other-type -22 the kfunc returns something else
acquired-scalar -22 it is not a pointer
acquired-and-released -22 these flags exclude each other
both-acquire -22 KFA_ACQUIRE and KF_ACQUIRE
kf-acquire 0
acquired-no-struct -22 the kfunc returns something else
acquired-no-return -22 the kfunc returns something else
read-only 0
read-only-size -22 the suffix of its name says something else
read-only-writable -22 it is not a pointer to const memory
uninit 0
uninit-const -22 what is const is not written
uninit-size -22 the suffix of its name says something else
uninit-rcu -22 these flags exclude each other
uninit-on-stack -22 uninitialized memory has to be in a register
read-only-rcu -22 these flags exclude each other
read-only-without-size -22 it is not a pointer to const memory
uninit-number 0
uninit-dynptr 0
uninit-context -22 it is neither memory nor a dynptr
uninit-object -22 it is neither memory nor a dynptr
uninit-without-size -22 it is neither memory nor a dynptr
rcu-number -22 it is not a pointer to a kernel object
rcu-dynptr -22 it is not a pointer to a kernel object
rcu-context -22 it is not a pointer to a kernel object
rcu-object 0
rcu-ignored -22 the suffix of its name says something else
rcu-uninit -22 the suffix of its name says something else
rcu-and-release 0
released-number -22 it can't be released
released-dynptr 0
released-context -22 it can't be released
released-allocated 0
string 0
string-of-struct -22 it is not a pointer to char
string-of-numbers -22 it is not a pointer to char
string-twice 0
uninit-twice 0
constant-twice 0
ignored-twice 0
nullable-ignored -22 what is ignored has no other flag
nullable-string 0
size-by-flag 0
size-ignored -22 the suffix of its name says something else
size-constant -22 the suffix of its name says something else
size-of-ignored -22 it is not behind memory
size-of-flagged-ignored -22 it is not behind memory
size-is-ignored -22 the suffix of its name says something else
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_registration_checks_what_an_object_file_holds(trees, tmp_path):
    """What btf.c becomes is compiled and run on good and bad sets; the sanitizers see reads beyond a set."""
    tip = finished(trees["first"])
    core, header, ids = (parse(p, tip.read(p)) for p in (facts.BTF_C, facts.BTF_H, facts.BTF_IDS_H))
    flags = [m for source in (ids, header) for m in macros(source) if m.name.startswith(("KFA_", "BTF_SET8_KF"))]
    types = [s for s in structs(ids) if s.name.startswith("btf_kfunc_args")]
    tables = [s for s in structs(core) if s.name.startswith("btf_kfunc_")]
    added = [f for f in functions(core) if "arg" in f.name]
    parts = [s.at(x.span) for s, found in ((ids, types), (core, tables)) for x in found]
    lookup = b"void btf_kfunc_arg_flags(const struct btf *btf, u32 kfunc_btf_id, u16 *flags);"
    generated = [f"#define {m.name} {m.value.decode()}".encode() for m in flags]
    needed = [f for f in functions(core) if f.name in {"btf_kfunc_is_registered", "btf_check_kfunc_scalar_flags"}]
    generated += [*parts, lookup]
    generated += [core.at(f.span) for f in sorted({*added, *needed}, key=lambda f: f.span)]
    (tmp_path / "generated.h").write_bytes(b"\n\n".join(generated) + b"\n")
    program = tmp_path / "registration"
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    options = ["-std=gnu11", "-Wall", "-Wno-unused-function", '-DGENERATED="generated.h"', "-I", tmp_path]
    run(["gcc", *options, *sanitize, "-o", program, TESTS / "registration.c"])
    assert run([program]).stdout.decode() == REGISTRATION.lstrip("\n")


@pytest.mark.parametrize(
    "use",
    [
        "static bool more(struct M *meta)\n{\n\treturn is_kfunc_rcu(meta);\n}\n",
        "static bool is_kfunc_rcu(struct M *meta);\n",
    ],
)
def test_another_use_of_a_predicate_of_the_whole_kfunc_is_an_error(trees, use):
    seen = next(context for name, context, _ in stages(trees["referenced"]) if name == "verifier")
    text = seen.tree.read(facts.VERIFIER_C) + use.replace("M", facts.meta_struct(seen.tree)[0]).encode()
    tree = seen.tree.overlaid({facts.VERIFIER_C: text})
    with pytest.raises(AnchorError, match=r"verifier\.c:\d+: is_kfunc_rcu\(\) is still used"):
        verifier.verifier(context(tree, trees["referenced"]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"return meta->kfunc_flags & KF_RCU;", b"return meta->kfunc_flags & KF_RCU || meta->func_id;"),
        (b"static bool is_kfunc_rcu(", b"bool is_kfunc_rcu("),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_predicate_that_is_not_just_so_is_not_replaced(trees, shape, old, new):
    text = trees[shape].read(facts.VERIFIER_C)
    assert old in text
    tree = trees[shape].overlaid({facts.VERIFIER_C: text.replace(old, new)})
    with pytest.raises(AnchorError, match=r"is_kfunc_rcu\(\): drifted"):
        verifier.verifier(context(tree, trees[shape]))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"##__VA_ARGS__, 0)\n", b"##__VA_ARGS__, 0) // flags\n", ""),
        (b"##__VA_ARGS__, 0)\n", b"##__VA_ARGS__, 0) /* flags\n * of kfuncs */\n", ""),
        (
            b"(prefix, name, ...) \\\n\t__BTF_ID_FLAGS(prefix",
            b"(kind, name, ...) \\\n\t__BTF_ID_FLAGS(kind",
            "expected `#def",
        ),
        (
            b"#define BTF_SET8_KFUNCS\t\t(1 << 0)\n",
            b"#define BTF_SET8_KFUNCS\t\t(1 << 0)\n#define BTF_SET8_X BIT(1)\n",
            "bit 1",
        ),
        (b"\n", b"\r\n", ""),
    ],
)
def test_the_macros_of_rows_fit_the_header_or_are_refused(trees, old, new, said):
    text = trees["first"].read(facts.BTF_IDS_H)
    assert old in text
    tree = trees["first"].overlaid({facts.BTF_IDS_H: text.replace(old, new, -1 if new == b"\r\n" else 1)})
    seen = context(tree, trees["first"])
    if said:
        with pytest.raises(AnchorError, match=re.escape(said)):
            STEPS["btf_ids"][0](seen)
        return
    made = tree.edit(STEPS["btf_ids"][0](seen).edits).read(facts.BTF_IDS_H)
    (macro,) = [
        m for m in macros(parse("x.h", made)) if m.name == "BTF_KFUNC" and m.conditions and "!" not in m.conditions[0]
    ]
    assert b"__BTF_KFUNC_ARGS" in b" ".join(t.text for t in tokens(macro.value))
    assert made.count(b"\r\n") in (0, made.count(b"\n"))
