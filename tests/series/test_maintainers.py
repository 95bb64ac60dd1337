"""MAINTAINERS as get_maintainer.pl reads it: who owns a path, and whose tree takes it."""

from __future__ import annotations

import large
import pytest
from attacks import limited
from conftest import RealKernel
from effort import bytecodes
from tinytree import commit

from patchbot.cli import main
from patchbot.git.repo import Repo
from patchbot.series import maintainers, treenames
from patchbot.series.maintainers import Section, Sections, owners, ranked, sections, target_of

GIT = "git://git.kernel.org/pub/scm/linux/kernel/git"
TEXT = f"""List of maintainers
===================

	M: *Mail* patches to: FullName <address@domain>

Maintainers List
----------------

BPF [CORE]
M:	Core Person <core@example.org>
R:	Reading Person <read@example.org>
L:	bpf@example.org
S:	Maintained
F:	include/linux/bpf*
F:	kernel/bpf/verifier.c

BPF [GENERAL] (Programs and Tools)
M:	"General, Person" <general@example.org>
L:	bpf@example.org (moderated for non-subscribers)
S:	Supported
P:	Documentation/bpf/bpf_devel_QA.rst
T:	git {GIT}/bpf/bpf.git
T:	git {GIT}/bpf/bpf-next.git
F:	arch/*/net/*
F:	kernel/bpf/
X:	kernel/bpf/elsewhere/

ODD CHIP
M:	Chip <chip@example.org>
T:	git {GIT}/chip/linux.git chip-next
N:	stm

PLAIN FOLDER
M:	Folder <folder@example.org>
L:	bpf@example.org
F:	lib/folder

KEYWORDS ONLY
L:	bpf@example.org
K:	\\bbpf\\b

UNREADABLE
M:	Bad <bad@example.org>
N:	(((
F:	odd/[/

THE REST
M:	Chief <chief@example.org>
L:	linux-kernel@example.org
S:	Buried alive in reporters
T:	git {GIT}/torvalds/linux.git
F:	*
F:	*/
"""


@pytest.fixture(scope="module")
def entries() -> Sections:
    return sections(TEXT.encode())


def names(found: list[Section]) -> list[str]:
    return [section.name for section in found]


def test_sections_hold_every_tag(entries: Sections) -> None:
    general = next(s for s in entries if s.name.startswith("BPF [GENERAL]"))
    assert general.maintainers == ('"General, Person" <general@example.org>',)
    assert general.lists == ("bpf@example.org",)
    assert general.excluded == ("kernel/bpf/elsewhere/",)
    assert general.profiles == ("Documentation/bpf/bpf_devel_QA.rst",)
    assert general.status == "Supported"
    assert names(list(entries))[0] == "BPF [CORE]"
    assert len(entries) == 7


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("kernel/bpf/verifier.c", ["BPF [CORE]", "BPF [GENERAL] (Programs and Tools)", "THE REST"]),
        ("kernel/bpf/deep/er.c", ["BPF [GENERAL] (Programs and Tools)", "THE REST"]),
        ("kernel/bpf/elsewhere/x.c", ["THE REST"]),
        ("include/linux/bpf_verifier.h", ["BPF [CORE]", "THE REST"]),
        ("include/linux/bpf/deeper.h", ["THE REST"]),
        ("arch/x86/net/jit.c", ["BPF [GENERAL] (Programs and Tools)", "THE REST"]),
        ("arch/x86/net/sub/jit.c", ["THE REST"]),
        ("lib/folder/x.c", ["PLAIN FOLDER", "THE REST"]),
        ("lib/folder_not.c", ["PLAIN FOLDER", "THE REST"]),
        ("kernel/bpf/stm.c", ["BPF [GENERAL] (Programs and Tools)", "ODD CHIP", "THE REST"]),
        ("README", ["THE REST"]),
    ],
)
def test_matching_follows_get_maintainer(entries: Sections, path: str, expected: list[str]) -> None:
    assert names(section for _, section in ranked(entries, path)) == expected


def test_the_same_list_is_read_once_whoever_asks(entries: Sections) -> None:
    assert sections(bytes(bytearray(TEXT.encode()))) is entries


def test_owners_leave_catch_alls_out(entries: Sections) -> None:
    assert owners(entries, "kernel/bpf/stm.c") == ("BPF [GENERAL] (Programs and Tools)",)
    assert owners(entries, "drivers/stm.c") == ("ODD CHIP",)
    assert owners(entries, "README") == ()


def test_strangers_only_match_by_name(entries: Sections) -> None:
    assert names(list(maintainers.strangers(entries, "kernel/bpf/stm.c"))) == ["ODD CHIP"]
    assert maintainers.strangers(entries, "drivers/stm.c") == ()


def test_target_of_a_path(entries: Sections) -> None:
    assert target_of(entries, "kernel/bpf/core.c") == "bpf-next"
    assert target_of(entries, "include/linux/bpf.h") == "bpf-next", "BPF [CORE] has no T:, its list has"
    assert target_of(entries, "lib/folder/x.c") == "bpf-next"
    assert target_of(entries, "drivers/stm.c") == "chip"
    assert target_of(entries, "README") == ""
    assert target_of(entries, "drivers/stm.c", "README", "kernel/bpf/a.c", "kernel/bpf/b.c") == "bpf-next"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (f"git {GIT}/bpf/bpf-next.git", "bpf-next"),
        (f"git {GIT}/tip/tip.git sched/core", "tip"),
        (f"git {GIT}/kees/linux.git for-next/execve", "kees"),
        (f"{GIT}/tj/sched_ext.git", "sched_ext"),
        (f"git {GIT}/rafael/linux-pm", "linux-pm"),
        ("git git://git.armlinux.org.uk/~rmk/linux-arm.git clkdev", "linux-arm"),
        ("git git://anongit.freedesktop.org/drm/drm", "drm"),
        ("quilt https://example.org", ""),
        ("git git://example.org/$(reboot).git", ""),
        ("", ""),
    ],
)
def test_tree_name(value: str, name: str) -> None:
    found = treenames.address(value)
    assert (found.name if found else "") == name


def test_lists_and_profiles(entries: Sections) -> None:
    assert maintainers.lists_of(entries, "bpf-next") == ("bpf@example.org",)
    assert maintainers.lists_of(entries, "") == ()
    assert maintainers.profiles_of(entries, ["kernel/bpf/a.c", "README"]) == ("Documentation/bpf/bpf_devel_QA.rst",)


def test_a_part_has_all_that_may_match() -> None:
    text = (
        b"List\r\n\tM: *Mail*\n# a comment\n\nA\nM:\ta@x.org\nF:\ta/\nX:\ta/b/\n\nB \xff\nS:\tOdd\nN:\tb[^a]\n\n"
        b"KEY\nK:\tword\n\nODD\nN:\t(?=look)\nTWO\nNAMES\nF:\tc/*.c\nTHE REST\nF:\t*\nF:\t*/"
    )
    known = sections(text)
    assert "".join(piece for _, piece in known.pieces).encode("utf-8", "surrogateescape") == text + b"\n"
    own = {"a/x.c": {"A"}, "a/b/x.c": {"A", "B \udcff"}, "c/x.c": {"NAMES"}, "d/x.c": set()}
    for path, names in own.items():
        assert {s.name for s in sections(known.part([path], "a wor"))} == {*names, "ODD", "THE REST"}, path
        assert {s.name for s in sections(known.part([path], "+words"))} == {*names, "KEY", "ODD", "THE REST"}, path
    assert known.part([], "").startswith(b"List\r\n\tM: *Mail*\n# a comment\n\n")


def test_odd_bytes_do_not_stop_it() -> None:
    entries = sections(b"NAME \xff\nM:\tJos\xe9 <jose@example.org>\nF:\ta.c\n")
    assert owners(entries, "a.c") == ("NAME \udcff",)


@pytest.mark.kernel
def test_real_owners_and_targets(kernel73: RealKernel) -> None:
    entries = sections(kernel73.repo.read(kernel73.commit, "MAINTAINERS") or b"")
    assert len(entries) > 3000
    assert owners(entries, "kernel/bpf/verifier.c")[0] == "BPF [CORE]"
    expected = {
        "kernel/bpf/verifier.c": "bpf-next",
        "kernel/bpf/btf.c": "bpf-next",
        "include/linux/btf_ids.h": "bpf-next",
        "mm/bpf_memcontrol.c": "bpf-next",
        "kernel/sched/ext/ext.c": "sched_ext",
        "drivers/hid/bpf/hid_bpf_dispatch.c": "hid",
        "net/ipv4/tcp_cubic.c": "net-next",
        "net/netfilter/nf_conntrack_bpf.c": "nf-next",
        "kernel/cgroup/rstat.c": "cgroup",
        "fs/bpf_fs_kfuncs.c": "vfs",
        "tools/testing/selftests/bpf/test_kmods/bpf_testmod.c": "bpf-next",
        "tools/include/linux/btf_ids.h": "",
    }
    assert {path: target_of(entries, path) for path in expected} == expected
    assert maintainers.lists_of(entries, "bpf-next") == ("bpf@vger.kernel.org",)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("N:\t(a+)+$", "a" * 4000 + "/x!"),
        ("N:\t(a|aa|a?)*b", "a" * 4000),
        ("N:\t(?:.*.*)*=", "x/" * 2000),
        ("F:\ta" + "*a" * 60 + "b", "a" * 4000),
        ("X:\t**x**x**x**x**x**x**x**y", "x" * 4000),
        ("F:\t(a+)+$", "a" * 4000 + "!"),
    ],
)
def test_a_pattern_with_nested_repetition_takes_no_time(line: str, path: str) -> None:
    entries = sections(f"SLOW\nF:\tslow/\n{line}\n".encode())
    with limited(5):
        assert owners(entries, path) == ()


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("asm / elf.h # a comment", "asm/elf.h", True),
        ("[ x]y", "xy", True),
        ("[ x]y", "y", False),
        (r"a\ b", "a b", True),
        (r"\bmxc[^\d]", "arch/mxc-1", True),
        ("(?i)STM", "drivers/stm.c", True),
        ("bcm[-_]nsp", "dts/bcm_nsp.dts", True),
        ("caf\u00e9+", "caf\u00e9", True),
        ("\udcff", "x\udcff.c", True),
    ],
)
def test_a_regex_means_what_perl_makes_of_it(pattern: str, path: str, fits: bool) -> None:
    entries = sections(f"ONE\nN:\t{pattern}\n".encode("utf-8", "surrogateescape"))
    assert owners(entries, path) == (("ONE",) if fits else ())


@pytest.mark.parametrize("odd", [r"\Qstm", r"(?P<n>stm)", "((", "x{900}", "", "a|b", "(?i)STM"])
def test_one_regex_does_not_change_what_another_means(odd: str) -> None:
    entries = sections(f"ODD\nN:\t{odd}\n\nONE\nN:\tbar\n\nTWO\nN:\t(?P<n>qux)\nN:\ty{{900}}\n".encode())
    alone = sections(f"ODD\nN:\t{odd}\n".encode())
    for path in ("x/bar.c", "x/BAR.c", "stm)|(?:bar", "qux/stm.c", "none", "y" * 900, "x" * 900):
        expected = {*owners(alone, path), *(["ONE"] if "bar" in path else [])}
        expected |= {"TWO"} if "qux" in path or "y" * 900 in path else set()
        assert set(owners(entries, path)) == expected, path


def test_a_pattern_that_cannot_be_used_is_named_with_its_line() -> None:
    text = b"ONE\nM:\tA <a@example.org>\nN:\t(?!x)y\nF:\ta[/\nF:\tok*\nK:\t((\nX:\t+\nN:\tfine\n"
    named = sections(text).unusable
    assert [line.split(" cannot")[0] for line in named] == [
        "MAINTAINERS:3: N: (?!x)y",
        "MAINTAINERS:4: F: a[/",
        "MAINTAINERS:7: X: +",
    ]
    assert owners(sections(text), "a/fine.c") == ("ONE",)


def test_generate_names_a_pattern_that_cannot_be_used(tiny: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    where = tiny.git_dir.parent
    text = (where / "MAINTAINERS").read_bytes()
    commit(where, "Odd patterns", {"MAINTAINERS": text + b"\nODD\nN:\t(?<=x)y\nN:\t(a+)+$\nF:\todd/\n"})
    assert main(["generate", "--kernel", str(where)]) == 0
    line = text.count(b"\n") + 3
    said = capsys.readouterr().err
    assert said.count(f"note: MAINTAINERS:{line}: N: (?<=x)y cannot be used, so it matches nothing") == 1


def test_a_look_up_does_not_depend_on_the_number_of_sections() -> None:
    def work(count: int) -> int:
        entries = sections(large.list_of(100, count))
        owners(entries, "warm/up.c")
        return bytecodes(lambda: owners(entries, f"{large.folder(7)}/file1.c"))

    assert work(1000) == work(3000)
