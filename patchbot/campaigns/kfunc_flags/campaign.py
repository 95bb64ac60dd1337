"""Give BPF kfuncs flags per argument: the facility first, then every row whose flag is about some arguments only.

KF_RELEASE and KF_RCU are flags of a whole kfunc, yet they are about single arguments. The steps below add flags of
arguments to BTF_ID_FLAGS(), teach the kernel to register and the verifier to obey them, and convert the rows.
"""

from __future__ import annotations

from pathlib import Path

from ...config import CampaignConfig
from ...series import maintainers
from ...series.campaign import BuildWishes, Campaign, Step
from . import proof
from .sites import inventory
from .steps import (
    acquire,
    bpftool,
    btf,
    btf_ids,
    decl_tags,
    docs,
    facts,
    rows,
    selftests,
    selftests_optional,
    suffixes,
    verifier,
)

STEPS = (
    Step(
        "dynptr",
        "release a dynptr only if the released argument is one",
        verifier.release_dynptr,
        "dynptr.txt.j2",
        anchors=verifier.anchors_release_dynptr,
    ),
    Step(
        "btf_ids",
        "let BTF_ID_FLAGS() take flags of arguments",
        btf_ids.btf_ids,
        "btf_ids.txt.j2",
        words=facts.words,
        anchors=btf_ids.anchors_btf_ids,
    ),
    Step(
        "btf",
        "register, validate and look up the flags of arguments",
        btf.btf,
        "btf.txt.j2",
        words=facts.words,
        anchors=btf.anchors_btf,
    ),
    Step(
        "verifier",
        "KFA_RELEASE and KFA_RCU in the verifier",
        verifier.verifier,
        "verifier.txt.j2",
        words=facts.words,
        anchors=verifier.anchors_verifier,
    ),
    Step(
        "docs",
        "document the flags of arguments",
        docs.docs,
        "docs.txt.j2",
        words=facts.words,
        anchors=docs.anchors_docs,
    ),
    Step(
        "suffixes",
        "flags equal to the suffixes of argument names, e.g. KFA_NULLABLE to __nullable",
        suffixes.suffixes,
        "suffixes.txt.j2",
        words=facts.words,
        optional=True,
        anchors=suffixes.anchors_suffixes,
    ),
    Step(
        "acquire",
        "KFA_ACQUIRE, a reference on the argument that the kfunc returns, and the conversion of KF_ACQUIRE to it",
        acquire.acquire,
        "acquire.txt.j2",
        words=facts.words,
        optional=True,
        anchors=acquire.anchors_acquire,
    ),
    Step(
        "decl-tags",
        "BTF decl tags for the flags of arguments, which user space can read",
        decl_tags.decl_tags,
        "decl-tags.txt.j2",
        words=facts.words,
        optional=True,
        anchors=decl_tags.anchors_decl_tags,
    ),
    Step(
        "bpftool",
        "show the decl tags of arguments in vmlinux.h",
        bpftool.bpftool,
        "bpftool.txt.j2",
        words=facts.words,
        optional=True,
        follows="decl-tags",
        anchors=bpftool.anchors_bpftool,
    ),
    Step(
        "selftests",
        "test the flags of arguments",
        selftests.selftests,
        "selftests.txt.j2",
        words=selftests.words,
        anchors=selftests.anchors_selftests,
    ),
    Step(
        "suffixes-selftests",
        "test kfuncs, programs and refused sets for the flags of the step suffixes",
        selftests_optional.suffixes,
        "selftests-suffixes.txt.j2",
        words=selftests.words,
        optional=True,
        follows="suffixes",
        anchors=selftests_optional.anchors_suffixes,
    ),
    Step(
        "acquire-selftests",
        "test kfuncs, programs and refused sets for KFA_ACQUIRE",
        selftests_optional.acquire,
        "selftests-acquire.txt.j2",
        words=selftests.words,
        optional=True,
        follows="acquire",
        anchors=selftests_optional.anchors_acquire,
    ),
    Step(
        "decl-tags-selftests",
        "test which arguments of the test kfuncs have decl tags",
        selftests_optional.decl_tags,
        "selftests-decl-tags.txt.j2",
        words=selftests.words,
        optional=True,
        follows="decl-tags",
        anchors=selftests_optional.anchors_decl_tags,
    ),
    Step(
        "rcu",
        "convert KF_RCU to KFA_RCU on the arguments it reaches",
        rows.convert_rcu,
        "convert-rcu.txt.j2",
        rows.split_rcu,
        rows.words_rcu,
        by_owner=True,
    ),
    Step(
        "release",
        "convert KF_RELEASE to KFA_RELEASE on the released argument",
        rows.convert_release,
        "convert-release.txt.j2",
        rows.split_release,
        rows.words_release,
        by_owner=True,
    ),
    Step(
        "acquire-rows",
        "convert KF_ACQUIRE to KFA_ACQUIRE on the argument that is returned, where a person decided so",
        rows.convert_acquire,
        "convert-acquire.txt.j2",
        rows.split_acquire,
        rows.words_acquire,
        optional=True,
        by_owner=True,
        follows="acquire",
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
        prose=lambda context: facts.words(context, "", ()),
        wishes=BuildWishes((Path(__file__).with_name("bpf.config"),), proof.inspect, proof.watch),
        columns=inventory.COLUMNS,
    )
