"""A tree that has no series is told everything that is wrong with it, in one run."""

from __future__ import annotations

import re

import pytest
from tinytree import commit

from patchbot.cli import main
from patchbot.git.repo import Repo

BTF, BTF_IDS, VERIFIER = "kernel/bpf/btf.c", "include/linux/btf_ids.h", "kernel/bpf/verifier.c"
CPUMASK = "kernel/bpf/cpumask.c"


def spoil(repo: Repo, path: str, old: bytes, new: bytes) -> None:
    text = repo.read(repo.resolve("HEAD"), path)
    assert text is not None
    assert old in text
    commit(repo.git_dir.parent, f"spoil {path}", {path: text.replace(old, new)})


@pytest.fixture
def said(tiny, capsys):
    """Return (exit code, stderr) of generate."""

    def run(*argv: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["generate", *argv, "--kernel", str(tiny.git_dir)])
        assert tiny.refs("refs/heads/patchbot") == {}
        return code, capsys.readouterr().err

    return run


def spoil_anchors(tiny: Repo) -> None:
    spoil(tiny, BTF_IDS, b"struct btf_id_set8", b"struct btf_pair_set")
    flags = b"\tmeta->kfunc_flags = *kfunc.flags;"
    spoil(tiny, VERIFIER, flags, b"\tif (meta)\n\t" + flags)


ANCHORS = (
    r"include/linux/btf_ids\.h.*: struct btf_id_set8: missing",
    r"verifier\.c:\d+: bpf_fetch_kfunc_arg_meta\(\): meta",
)


def test_anchors_of_all_steps(tiny, said):
    spoil_anchors(tiny)
    code, text = said()
    assert code == 2
    for anchor in ANCHORS:
        assert len(re.findall(anchor, text)) == 1, anchor
    assert "if without braces" in text


def test_an_anchor_that_is_gone_takes_no_other_along(tiny, said):
    spoil(tiny, VERIFIER, b"return meta->kfunc_flags & KF_RELEASE;", b"return !!(meta->kfunc_flags & KF_RELEASE);")
    code, text = said()
    assert code == 2
    assert re.search(r"verifier\.c:\d+: is_kfunc_release\(\): drifted", text)
    assert text.count("do not fit") + text.count("does not fit") == 1, "the other steps can be done"
    spoil(tiny, VERIFIER, b"meta->release_regno = BPF_REG_1;", b"meta->release_regno = BPF_REG_2;")
    assert re.search(r"verifier\.c: what KF_RELEASE is about: missing: nothing sets meta->release_regno to", said()[1])


def test_refused_rows_and_anchors(tiny, said):
    spoil_anchors(tiny)
    spoil(tiny, CPUMASK, b"bpf_cpumask_release, KF_RELEASE)", b"bpf_cpumask_release, KF_RELEASE | KF_MINE)")
    code, text = said()
    assert code == 1
    for problem in (*ANCHORS, rf"{CPUMASK}:\d+: bpf_cpumask_release@\w+: .*does not define KF_MINE as a single flag"):
        assert len(re.findall(problem, text)) == 1, problem


def test_sets_that_are_not_understood_and_anchors(tiny, said):
    spoil_anchors(tiny)
    spoil(tiny, CPUMASK, b"BTF_ID_FLAGS(func, bpf_cpumask_release, KF_RELEASE)", b"MYSTERY(bpf_cpumask_release)")
    spoil(tiny, "kernel/bpf/helpers.c", b"BTF_KFUNCS_END(", b"BTF_SET8_END(")
    code, text = said()
    assert code == 2
    for problem in (*ANCHORS, rf"{CPUMASK}:\d+: 'MYSTERY' in the set", r"kernel/bpf/helpers\.c:\d+: BTF_SET8_END"):
        assert len(re.findall(problem, text)) >= 1, problem


def test_anchors_of_optional_steps(tiny, said):
    spoil_anchors(tiny)
    spoil(tiny, VERIFIER, b"is_kfunc_arg_nullable", b"is_kfunc_arg_null")
    text = said("--with", "suffixes")[1]
    for problem in (*ANCHORS, r"suffixes: .*(\n.*)*is_kfunc_arg_nullable\(\): missing"):
        assert re.search(problem, text), problem


def test_a_function_that_moved_is_found(tiny, said):
    text = tiny.read(tiny.resolve("HEAD"), VERIFIER)
    start = text.index(b"static bool is_kfunc_rcu(")
    body = text[start : text.index(b"\n}\n", start) + 3]
    spoil(tiny, VERIFIER, body, b"")
    commit(tiny.git_dir.parent, "split", {"kernel/bpf/kfunc.c": b"/* new */\n" + body})
    code, text = said()
    assert code == 2
    assert re.search(
        r"verifier\.c:\d+: is_kfunc_rcu\(\): missing(.*\n)+.*is_kfunc_rcu is in kernel/bpf/kfunc\.c:2", text
    )


def test_who_reads_a_flag_unseen_is_named(tiny, said):
    commit(tiny.git_dir.parent, "read", {"kernel/bpf/new.c": b"bool f(u32 flags)\n{\n\treturn flags & KF_RCU;\n}\n"})
    spoil_anchors(tiny)
    code, text = said()
    assert code == 2
    assert re.search(
        r"kernel/bpf/new\.c:3: the readers of KF_RCU: drifted: f\(\) reads it without the predicates", text
    )
    for anchor in ANCHORS:
        assert re.search(anchor, text), anchor


def test_a_mistake_in_the_configuration_is_no_problem_of_the_tree(tiny, said, tmp_path):
    spoil_anchors(tiny)
    (tmp_path / "p.toml").write_text("[campaigns.kfunc_flags.decisions]\nf = { keep = true }\n")
    code, text = said("--config", str(tmp_path / "p.toml"))
    assert code == 2
    assert "a decision needs a reason" in text
    assert "btf_id_set8" not in text
