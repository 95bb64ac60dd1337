"""Give BPF kfuncs flags per argument: the facility first, then every row whose flag is about some arguments only.

KF_RELEASE and KF_RCU are flags of a whole kfunc, yet they are about single arguments. The steps below add rows
BTF_KFUNC() with argument flags, teach the kernel to register them and the verifier to obey them, and convert the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...config import CampaignConfig
from ...series import maintainers
from ...series.anchors import Anchor
from ...series.campaign import BuildWishes, Campaign, Change, Context, Step
from . import proof
from .sites import inventory
from .sites.gains import RDONLY, UNINIT
from .sites.plan import ACQUIRE, ARENA, RCU, RELEASE
from .steps import (
    acquire,
    arena,
    bpftool,
    btf,
    btf_ids,
    decl_tags,
    define,
    docs,
    facts,
    features,
    rdonly,
    resolve_btfids,
    rows,
    selftests,
    selftests_optional,
    suffixes,
    uninit,
    verifier,
)


def editing(name: str, doc: str, anchors: Callable[[Context], Sequence[Anchor]], **more: Any) -> Step:
    """Return a step that edits at its anchors."""
    given = {"codemod": facts.carried(anchors), "words": facts.words, **more}
    return Step(name, doc, template=f"{name}.txt.j2", anchors=anchors, **given)


def selftesting(
    step: str, doc: str, anchors: Callable[[Context], Sequence[Anchor]], modules: bool = True, optional: bool = True
) -> Step:
    """Return a step that tests what another step adds, in the files of the step selftests."""
    codemod = partial(selftests_optional.extend, anchors=anchors, modules=modules)
    more = {"codemod": codemod, "words": selftests.words, "optional": optional, "follows": step}
    return editing(f"{step}-selftests", doc, anchors, **more)


def converting(name: str, doc: str, *flags: str, **more: Any) -> Step:
    """Return a step that converts flags in the rows, a patch for each group of files."""

    def codemod(context: Context) -> Change:
        return rows.convert(context, *flags)

    template = f"convert-{name.removesuffix('-rows')}.txt.j2"
    return Step(name, doc, codemod, template, rows.split, rows.words(*flags), by_owner=True, **more)


STEPS = (
    editing(
        "dynptr",
        "release a dynptr only if the released argument is one",
        verifier.anchors_release_dynptr,
        codemod=verifier.release_dynptr,
    ),
    editing(
        "btf_ids",
        "add BTF_KFUNC(), a row of a set with argument flags",
        btf_ids.anchors,
        codemod=btf_ids.btf_ids,
    ),
    editing("btf", "register, validate and look up argument flags", btf.anchors),
    editing("verifier", "KFA_RELEASE and KFA_RCU in the verifier", verifier.anchors, codemod=verifier.verifier),
    editing("docs", "document argument flags", docs.anchors),
    editing(
        "rdonly",
        "KFA_RDONLY, memory that a kfunc only reads, so that it can be read-only",
        rdonly.anchors,
        codemod=rdonly.rdonly,
    ),
    editing(
        "uninit",
        "KFA_UNINIT, memory that a kfunc writes whole, so that it need not be initialized",
        uninit.anchors,
        codemod=uninit.uninit,
    ),
    editing(
        "suffixes",
        "flags equal to the suffixes of argument names, e.g. KFA_NULLABLE to __nullable",
        suffixes.anchors,
        optional=True,
    ),
    editing(
        "acquire",
        "KFA_ACQUIRE, a reference on the argument that the kfunc returns, and the conversion of KF_ACQUIRE to it",
        acquire.anchors,
        optional=True,
    ),
    editing(
        "resolve_btfids",
        "resolve_btfids checks argument flags, so that a build fails rather than a registration",
        resolve_btfids.anchors,
        codemod=resolve_btfids.resolve_btfids,
        words=resolve_btfids.words,
    ),
    editing(
        "arena",
        "KFA_ARENA, a pointer into an arena, which resolve_btfids reads",
        arena.anchors,
        codemod=arena.arena,
    ),
    editing(
        "decl-tags",
        "BTF decl tags for argument flags, which user space can read",
        decl_tags.anchors,
        optional=True,
    ),
    editing(
        "bpftool",
        "show the decl tags of arguments in vmlinux.h",
        bpftool.anchors,
        optional=True,
        follows="decl-tags",
    ),
    editing(
        "selftests",
        "test argument flags",
        selftests.anchors,
        codemod=selftests.selftests,
        words=selftests.words,
    ),
    selftesting(
        "rdonly",
        "test kfuncs, programs and refused sets for KFA_RDONLY",
        selftests_optional.anchors_rdonly,
        optional=False,
    ),
    selftesting(
        "uninit",
        "test kfuncs, programs and refused sets for KFA_UNINIT on memory",
        selftests_optional.anchors_uninit,
        optional=False,
    ),
    selftesting(
        "suffixes",
        "test kfuncs, programs and refused sets for the flags of the step suffixes",
        selftests_optional.anchors_suffixes,
    ),
    selftesting(
        "acquire", "test kfuncs, programs and refused sets for KFA_ACQUIRE", selftests_optional.anchors_acquire
    ),
    selftesting(
        "decl-tags",
        "test which arguments of the test kfuncs have decl tags",
        selftests_optional.anchors_decl_tags,
        modules=False,
    ),
    converting("rdonly-rows", "add KFA_RDONLY to const memory", RDONLY, follows="rdonly"),
    converting("uninit-rows", "add KFA_UNINIT to memory that is written whole", UNINIT, follows="uninit"),
    converting(
        "rows",
        "convert KF_RCU to KFA_RCU on the arguments it reaches, KF_RELEASE to KFA_RELEASE on the released argument",
        RCU,
        RELEASE,
        parts=("rcu", "release"),
    ),
    converting("arena-rows", "convert KF_ARENA_ARG1 and KF_ARENA_ARG2 to KFA_ARENA", *ARENA, follows="arena"),
    converting(
        "acquire-rows",
        "convert KF_ACQUIRE to KFA_ACQUIRE on the argument that is returned, where a person decided so",
        ACQUIRE,
        optional=True,
        follows="acquire",
    ),
    editing(
        "define",
        "add kfuncs to a set where they are defined, as EXPORT_SYMBOL_GPL() exports a symbol",
        define.anchors,
        optional=True,
    ),
    Step(
        "define-rows",
        "move the rows of one set behind its kfuncs, to show what it looks like",
        define.convert,
        "define-rows.txt.j2",
        words=define.words,
        optional=True,
        by_owner=True,
        follows="define",
    ),
)


def campaign(config: CampaignConfig) -> Campaign:
    """Return the campaign."""
    return Campaign(
        name="kfunc_flags",
        doc="flags for single arguments of BPF kfuncs: KFA_RELEASE and KFA_RCU, and the conversion of every kfunc set",
        steps=STEPS,
        audit=inventory.audit,
        target_of=maintainers.tree_for,
        owners_of=maintainers.owners_for,
        witnesses=inventory.witnesses,
        title="bpf: Flags for the arguments of kfuncs",
        prose=features.prose,
        wishes=BuildWishes((Path(__file__).with_name("bpf.config"),), proof.inspect, proof.watch),
        columns=inventory.COLUMNS,
    )
