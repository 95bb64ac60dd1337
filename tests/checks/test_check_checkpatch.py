import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from subjects import make_subject
from tinytree import TESTS

from patchbot import run as running
from patchbot.bundle import bundled
from patchbot.checking.check import Subject
from patchbot.checking.runner import run_checks
from patchbot.checking.store import Results
from patchbot.config import ChecksConfig, Waiver
from patchbot.errors import ConfigError, ToolError
from patchbot.git.repo import Repo
from patchbot.model import Finding, Result, Status
from patchbot.run import Completed, run

LOGS = TESTS / "logs"
GOOD = "x: Change a\n\nThe change is needed because of this and that.\n"

#: Says what it sees, in the form of the real script, and obeys the form of its output.
SCRIPT = rb"""
use strict;
my ($strict, $signoff, $errors, $warnings, $checks) = (0, 1, 0, 0, 0);
for (@ARGV) { $strict = 1 if $_ eq '--strict'; $signoff = 0 if $_ eq '--no-signoff'; }
die "no words" if !open(my $words, '<', 'scripts/spelling.txt');
print "Your ~/.checkpatch.conf is used\n" if -e "$ENV{HOME}/.checkpatch.conf";
die "this is a work tree" if -e '.git' or -e 'unrelated.c';
my ($file, $line, $n) = ('', 0, 0);
while (<STDIN>) {
	$n++; chomp;
	$file = $1 if m{^\+\+\+ b/(.*)};
	$line = $1 - 1 if /^@@ -\S+ \+(\d+)/;
	$line++ if /^[+ ]/ and $file;
	if (/^\+.*\bBAD\b/) { print "ERROR:BAD_WORD: bad word\n#$n: FILE: $file:$line:\n$_\n\n"; $errors++; }
	if (/^\+.*\bODD\b/) { print "WARNING:ODD_WORD: odd word\n#$n: FILE: $file:$line:\n$_\n\n"; $warnings++; }
	if (/^\+.*\bMEH\b/ and $strict) { print "CHECK:MEH_WORD: word\n#$n: FILE: $file:$line:\n$_\n\n"; $checks++; }
	if (/^new file/) { print "WARNING:FILE_PATH_CHANGES: added\n#$n: \n$_\n\n"; $warnings++; }
	if (/^LIE/) { $errors++; }
	die "crash" if /^CRASH/;
}
if ($signoff) { print "ERROR:SIGNED: signed\n\n"; $errors++; }
print "total: $errors errors, $warnings warnings, " . ($strict ? "$checks checks, " : '') . "$n lines checked\n";
exit($errors + $warnings + $checks > 0);
"""


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("checkpatch_under_test", bundled("checks") / "checkpatch.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    tree = tmp_path / "linux"
    files = {
        "a.c": b"int a;\n",
        "unrelated.c": b"\n",
        "scripts/checkpatch.pl": SCRIPT,
        "scripts/spelling.txt": b"teh||the\n",
        "MAINTAINERS": b"THE REST\nS:\tMaintained\nF:\t*\n",
    }
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    run(["git", "init", "-q", "--template=", tree])
    run(["git", "add", "-A"], cwd=tree)
    run(["git", "commit", "-q", "-m", "Linux 7.99"], cwd=tree)
    return Repo.open(tree)


def one(repo: Repo, tmp_path: Path, text: bytes, message: str = GOOD) -> Subject:
    return make_subject(repo, "HEAD", [(message, {"a.c": b"int a;\n" + text})], tmp_path)


def judge(subject: Subject, tmp_path: Path, waivers: tuple[Waiver, ...] = (), **options: Any) -> list[Result]:
    with closing(Results(tmp_path / "results.db")) as store:
        config = ChecksConfig(run=("checkpatch",), options={"checkpatch": options}, waivers=waivers)
        return run_checks(subject, config, store)


def types(findings: tuple[Finding, ...] | list[Finding]) -> Mapping[str, str]:
    return {f.type: f.status.value for f in findings}


def test_a_clean_patch_passes_and_is_known_after_a_rebase(repo: Repo, tmp_path: Path) -> None:
    subject = one(repo, tmp_path, b"int b;\n")
    (result,) = judge(subject, tmp_path)
    assert (result.status, result.findings, result.cached) == (Status.PASS, (), False), result.reason
    tree = repo.git_dir.parent
    (tree / "unrelated.c").write_text("int other;\n")
    run(["git", "commit", "-q", "-a", "-m", "Another base"], cwd=tree)
    (result,) = judge(one(repo, tmp_path, b"int b;\n"), tmp_path)
    assert result.cached, "nothing that the script reads has changed"
    (tree / "scripts/spelling.txt").write_text("foo||bar\n")
    run(["git", "commit", "-q", "-a", "-m", "Another script"], cwd=tree)
    (result,) = judge(one(repo, tmp_path, b"int b;\n"), tmp_path)
    assert not result.cached


@pytest.mark.parametrize(
    ("word", "status", "type_"),
    [("BAD", Status.FAIL, "BAD_WORD"), ("ODD", Status.WARN, "ODD_WORD"), ("MEH", Status.WARN, "MEH_WORD")],
)
def test_a_bad_patch_is_found(repo: Repo, tmp_path: Path, word: str, status: Status, type_: str) -> None:
    (result,) = judge(one(repo, tmp_path, f"int x;\nint {word};\n".encode()), tmp_path)
    assert result.status is status
    (finding,) = result.findings
    assert (finding.type, finding.file, finding.line, finding.status) == (type_, "a.c", 3, status)
    assert result.log is not None
    assert type_ in Path(result.log).read_text()
    assert f"git format-patch --stdout -1 {result.commit[:12]} | scripts/checkpatch.pl" in result.reproduce  # type: ignore[index]


def test_options_are_used_and_known(repo: Repo, tmp_path: Path) -> None:
    subject = one(repo, tmp_path, b"int MEH;\n")
    assert judge(subject, tmp_path, strict=False)[0].status is Status.PASS
    assert judge(subject, tmp_path, strict=True)[0].status is Status.WARN
    assert "max-line-length=80" in judge(subject, tmp_path, max_line_length=80)[0].reproduce
    for options in ({"strikt": True}, {"strict": "yes"}, {"max_line_length": "80"}):
        with pytest.raises(ConfigError, match=r"checks\.checkpatch"):
            judge(subject, tmp_path, **options)


def test_a_sign_off_is_judged_only_where_there_is_one(repo: Repo, tmp_path: Path) -> None:
    signed = GOOD + "\nSigned-off-by: A Developer <developer@example.org>\n"
    assert types(judge(one(repo, tmp_path, b"int b;\n", signed), tmp_path)[0].findings) == {"SIGNED": "FAIL"}


def test_a_waiver_with_a_reason_lets_a_patch_pass(repo: Repo, tmp_path: Path) -> None:
    subject = one(repo, tmp_path, b"int ODD;\n")
    waiver = Waiver("checkpatch", "ODD_WORD", "step1", "a.c", 1, "it is an assembler word")
    (result,) = judge(subject, tmp_path, (waiver,))
    assert (result.status, result.reason) == (Status.PASS, "waived: 1 x ODD_WORD (it is an assembler word)")


def test_a_finding_outside_of_a_hunk_gets_its_file(repo: Repo, tmp_path: Path) -> None:
    subject = make_subject(repo, "HEAD", [(GOOD, {"a.c": b"int b;\n", "new/b.c": b"int c;\n"})], tmp_path)
    (finding,) = judge(subject, tmp_path)[0].findings
    assert (finding.type, finding.file, finding.line) == ("FILE_PATH_CHANGES", "new/b.c", None)


def test_a_script_that_crashes_or_lies_is_an_error(repo: Repo, tmp_path: Path) -> None:
    (result,) = judge(one(repo, tmp_path, b"int b;\n", GOOD + "CRASH\n"), tmp_path)
    assert result.status is Status.ERROR
    assert "did not finish" in result.reason
    (result,) = judge(one(repo, tmp_path, b"int b;\n", GOOD + "LIE\n"), tmp_path)
    assert result.status is Status.ERROR
    assert "counts 1 problems, patchbot reads 0" in result.reason


def test_a_tree_without_the_script_is_skipped_with_a_reason(tiny: Repo, repo: Repo, tmp_path: Path) -> None:
    tree = repo.git_dir.parent
    run(["git", "rm", "-q", "scripts/checkpatch.pl"], cwd=tree)
    run(["git", "commit", "-q", "-m", "No script"], cwd=tree)
    (result,) = judge(one(repo, tmp_path, b"int b;\n"), tmp_path)
    assert result.status is Status.SKIP
    assert "has no scripts/checkpatch.pl" in result.reason


def test_without_perl_the_package_is_named_before_anything_runs(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = one(repo, tmp_path, b"int b;\n")
    git = run(["sh", "-c", "command -v git"]).stdout.decode().strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (result,) = judge(subject, tmp_path)
    assert result.status is Status.ERROR
    assert result.reason == "perl is not installed; Debian has it in the package perl"


def test_the_users_own_settings_and_tree_do_not_matter(repo: Repo, tmp_path: Path) -> None:
    Path(os.environ["HOME"], ".checkpatch.conf").write_text("--ignore BAD_WORD\n")
    (result,) = judge(one(repo, tmp_path, b"int BAD;\n"), tmp_path)
    assert types(result.findings) == {"BAD_WORD": "FAIL"}
    assert result.log is not None
    assert "checkpatch.conf is used" not in Path(result.log).read_text()
    assert run(["git", "status", "--porcelain"], cwd=repo.git_dir.parent).stdout == b""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x: " + "y" * 73 + "\n\nBody.\n", {"SUBJECT_LONG": "FAIL"}),
        ("x: " + "y" * 72 + "\n\nBody.\n", {"SUBJECT_LONG": "WARN"}),
        ("x: " + "y" * 67 + "\n\nBody.\n", {}),
        ("Change something\n\nBody.\n", {"SUBJECT_PREFIX": "FAIL"}),
        ("This is a long story: change\n\nBody.\n", {"SUBJECT_PREFIX": "FAIL"}),
        ("x:change\n\nBody.\n", {"SUBJECT_PREFIX": "FAIL"}),
        ("bpf, docs: Change\n\nBody.\n", {}),
        ("KVM: x86/mmu: Change\n\nBody.\n", {}),
        ("tools headers x86: Sync\n\nBody.\n", {}),
        ('Revert "x: Change"\n\nBody.\n', {}),
        ("x: Change it.\n\nBody.\n", {"SUBJECT_PERIOD": "WARN"}),
        ("x: *** SUBJECT HERE ***\n\nBody.\n", {"PLACEHOLDER": "FAIL"}),
        ("x: Change\n\n*** BLURB HERE ***\n", {"PLACEHOLDER": "FAIL"}),
        ("x: Change\n", {"CHANGELOG_EMPTY": "FAIL"}),
        ("x: Change\n\nFixes: 123456789abc (\"x\")\nReported-by: A <a@b.c>\n", {"CHANGELOG_EMPTY": "FAIL"}),
    ],
)  # fmt: skip
def test_the_message_is_judged(repo: Repo, tmp_path: Path, message: str, expected: Mapping[str, str]) -> None:
    assert types(judge(one(repo, tmp_path, b"int b;\n", message), tmp_path)[0].findings) == expected


def test_the_parser_reads_real_logs(module: ModuleType) -> None:
    style = module.parse((LOGS / "checkpatch-7.3-style.txt").read_bytes())
    assert [sum(f.status is s for f in style) for s in (Status.FAIL, Status.WARN)] == [6, 19]
    assert Finding(Status.FAIL, "trailing whitespace", "kernel/bpf/core.c", 3610, "TRAILING_WHITESPACE") in style
    (macro,) = [f for f in style if f.type == "MULTISTATEMENT_MACRO_USE_DO_WHILE"]
    assert (macro.file, macro.line, macro.status) == ("kernel/bpf/core.c", 3615, Status.WARN)
    assert "Theres also" not in macro.message
    older = module.parse((LOGS / "checkpatch-6.12-style.txt").read_bytes())
    (macro,) = [f for f in older if f.type == "MULTISTATEMENT_MACRO_USE_DO_WHILE"]
    assert macro.status is Status.FAIL
    assert (
        types(module.parse((LOGS / "checkpatch-7.3-devicetree.txt").read_bytes()))["UNDOCUMENTED_DT_STRING"] == "WARN"
    )
    assert types(module.parse((LOGS / "checkpatch-7.3-signoff.txt").read_bytes())) == {"NO_AUTHOR_SIGN_OFF": "FAIL"}


def test_findings_outside_of_hunks_are_placed_by_the_mail(module: ModuleType) -> None:
    found = module.parse((LOGS / "checkpatch-7.3-paths.txt").read_bytes())
    mail = b"".join(b"changelog\n" for _ in range(17)) + b"diff --git a/D/new b/D/new\nnew file mode 100644\n"
    places = {f.type: (f.file, f.line) for f in module.locate(found, mail)}
    assert places["UNKNOWN_COMMIT_ID"] == (None, None)
    assert places["FILE_PATH_CHANGES"] == ("D/new", None)
    assert places["CAMELCASE"] == ("include/uapi/linux/atalk.h", 46)
    assert places["OBSOLETE"] == (None, None)


def test_a_quoted_line_is_no_finding_and_no_end(module: ModuleType) -> None:
    text = b"WARNING:A: long line\n#5: \nERROR:B: this is quoted\n\n"
    text += b"CHECK:C: x\n#6: \ntotal: 9 errors, 9 warnings, 1 lines checked\n\n"
    found = module.parse(text + b"total: 0 errors, 1 warnings, 1 checks, 3 lines checked\n")
    assert [f.type for f in found] == ["A", "C"]
    with pytest.raises(ToolError, match="did not finish"):
        module.parse(text[:70])
    with pytest.raises(ToolError, match="counts 3 problems, patchbot reads 2"):
        module.parse(text + b"total: 0 errors, 3 warnings, 3 lines checked\n")


def test_only_obsolete_sections_of_maintainers_are_kept(module: ModuleType) -> None:
    text = b"List\n----\nS: Status\n\tObsolete: explained\n\nA B C\nS:\tMaintained\nF:\ta/\n\n"
    text += b"D E\nM:\tX <x@y.z>\nS:\tOrphan / Obsolete\n\nF:\td/\n"
    assert module.obsolete_sections(text) == b"D E\nS:\tOrphan / Obsolete\nF:\td/\n\n"


def test_a_wrong_option_is_the_users_to_fix(module: ModuleType, repo: Repo, tmp_path: Path) -> None:
    subject = replace(one(repo, tmp_path, b"int b;\n"), options={"strict": 1})
    with pytest.raises(ConfigError, match=r"checks.checkpatch.strict is 1, not true or false"):
        module.check(subject, subject.items[0])


BAD_STYLE = b"""
#include <asm/uaccess.h>
static int fooBar( int a,int PptpControlHeader )
{
	return lclDecl(a) + UnKnownThing; // teh line that goes far beyond one hundred columns, which is not liked
}
"""
BAD_MESSAGE = """bpf: Fix checkpatch warnings

The verifier of the kernel is a thing of beauty and a joy for ever and this line is too long.
See commit 123456789abc ("no such thing") in /usr/src/linux/kernel/bpf/core.c for more.
"""


@pytest.mark.kernel
def test_the_real_script_finds_what_is_bad(kernel: Any, tmp_path: Path) -> None:
    repo, base = kernel
    core = repo.read(base, "kernel/bpf/core.c")
    old = "drivers/net/ethernet/8390/8390.c"
    tree = b'static const struct of_device_id x[] = {\n\t{ .compatible = "acme,rocket-9" },\n\t{}\n};\n'
    good = "bpf: Add a declaration\n\nThe declaration is needed by the next patch.\n"
    commits = [
        (good, {"kernel/bpf/core.c": core + b"\nint bpf_x;\n"}),
        (BAD_MESSAGE, {"kernel/bpf/core.c": core + BAD_STYLE}),
        (good.replace("bpf", "net"), {old: repo.read(base, old) + b"\nint x;\n", "kernel/new.c": b"int x;\n"}),
        (good.replace("bpf", "of"), {"drivers/of/base.c": repo.read(base, "drivers/of/base.c") + tree}),
    ]
    results = judge(make_subject(repo, base, commits, tmp_path), tmp_path)
    found = [types(r.findings) for r in results]
    assert (results[0].status, found[0]) == (Status.PASS, {})
    assert {"EMAIL_SUBJECT", "COMMIT_LOG_LONG_LINE", "UNKNOWN_COMMIT_ID", "USE_RELATIVE_PATH"} <= set(found[1])
    assert {"INCLUDE_LINUX", "SPACING", "TYPO_SPELLING", "LONG_LINE_COMMENT"} <= set(found[1])
    camel = {f.message for f in results[1].findings if f.type == "CAMELCASE"}
    assert camel == {f"Avoid CamelCase: <{name}>" for name in ("fooBar", "lclDecl", "UnKnownThing")}
    assert {"OBSOLETE", "FILE_PATH_CHANGES", "SPDX_LICENSE_TAG"} <= set(found[2])
    undocumented = [f.message for f in results[3].findings if f.type == "UNDOCUMENTED_DT_STRING"]
    assert len(undocumented) >= 1
    assert "acme,rocket-9" in undocumented[0]
    again = judge(make_subject(repo, base, commits, tmp_path), tmp_path)
    assert [r.cached for r in again] == [r.status.rank < Status.FAIL.rank for r in results]


@pytest.mark.kernel
def test_a_series_of_25_patches_is_quick(kernel73: Any, tmp_path: Path) -> None:
    repo, base = kernel73
    names = [p for p in sorted(repo.ls(base, "kernel/bpf")) if p.endswith(".c")][:25]
    message = "bpf: Change {}\n\nThe change is needed because of this and that.\n"
    commits = [(message.format(Path(n).name), {n: repo.read(base, n) + b"\nint bpf_x;\n"}) for n in names]
    results = judge(make_subject(repo, base, commits, tmp_path), tmp_path)
    assert {r.status for r in results} == {Status.PASS}, [f for r in results for f in r.findings]
    assert sum(r.seconds for r in results) / 2 < 30


def judge_series(repo: Repo, cli: Any, *steps: str) -> None:
    code, said = cli(repo, "generate", *(("--with", ",".join(steps)) if steps else ()))
    assert code == 0, said
    code, report = cli(repo, "check", "--only", "applies,checkpatch")
    assert (code, report["worst"]) == (0, "PASS"), [r for r in report["results"] if r["status"] != "PASS"]
    assert len(report["results"]) == 2 * len(said["patches"])


@pytest.mark.kernel
def test_the_series_is_clean_but_for_what_is_waived(kernel: Any, borrow: Any, cli: Any) -> None:
    judge_series(borrow(kernel), cli)


@pytest.mark.kernel
@pytest.mark.slow
def test_the_optional_steps_are_clean_as_well(kernel: Any, borrow: Any, cli: Any) -> None:
    # Each alone: what one waives must not hide what another one needs.
    tool = kernel.repo.read(kernel.commit, "tools/bpf/resolve_btfids/main.c") or b""
    repo = borrow(kernel)
    steps = ["suffixes", "acquire"] + (["decl-tags"] if b"btf2btf(" in tool else [])
    for step in steps:
        judge_series(repo, cli, step)
    judge_series(repo, cli, *steps)


CLEAN = b"total: 0 errors, 0 warnings, 0 checks, 8 lines checked\n"
ERROR = b"ERROR:X: bad\n#1: FILE: a.c:1:\n+x\n\n"


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        (CLEAN, -9, "was killed by SIGKILL"),
        (CLEAN, -15, "was killed by SIGTERM"),
        (CLEAN, 1, "counts 0 problems, which its exit code contradicts"),
        (CLEAN, 255, "counts 0 problems, which its exit code contradicts"),
        (ERROR + b"total: 1 errors, 0 warnings, 0 checks, 8 lines checked\n", 0, "counts 1 problems, which"),
        (ERROR + b"total: 1 errors, 0 warnings, 0 checks, 8 lines checked\n", 2, "counts 1 problems, which"),
        (CLEAN.replace(b"8 lines", b"0 lines"), 0, "checked no line, but the patch has some"),
        (CLEAN + b"\0\0\0\n", 0, "NUL bytes"),
        (CLEAN + b"- has no obvious style pro", 0, "its output is truncated"),
        (b"WARNING:Y: quoted\n#3: \n" + CLEAN, 0, "counts 0 problems, patchbot reads 1"),
        (b"", 0, "it printed nothing"),
        (CLEAN.replace(b"0 errors", b"9" * 5000 + b" errors"), 0, "did not finish"),
    ],
)
def test_a_script_that_ends_otherwise_than_it_says_is_an_error(
    module: ModuleType, output: bytes, code: int, message: str
) -> None:
    mail = b"From x\n\nText.\n---\n\ndiff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1 +1,2 @@\n int a;\n+x\n"
    with pytest.raises(ToolError, match=message):
        module.told(Completed(("perl",), code, output, b"", 0.0), mail)


def test_a_patch_without_lines_may_have_none_checked(module: ModuleType) -> None:
    mail = b"From x\n\nText about\n@@ -1 +1 @@\n---\n\ndiff --git a/a b/a\nold mode 100644\nnew mode 100755\n"
    done = Completed(("perl",), 0, CLEAN.replace(b"8 lines", b"0 lines"), b"", 0.0)
    assert module.told(done, mail) == []


def test_a_script_that_kills_itself_after_its_output_is_an_error(repo: Repo, tmp_path: Path) -> None:
    tree = repo.git_dir.parent
    text = SCRIPT.replace(b"exit($errors", b"$| = 1; print ''; kill 'KILL', $$;\nexit($errors")
    (tree / "scripts/checkpatch.pl").write_bytes(text)
    run(["git", "commit", "-q", "-a", "-m", "Another script"], cwd=tree)
    (result,) = judge(one(repo, tmp_path, b"int b;\n"), tmp_path)
    assert result.status is Status.ERROR
    assert re.search("was killed by SIGKILL|exit code 137", result.reason)


def test_a_script_that_does_not_stop_talking_is_an_error(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MOST_READ", 1 << 20)
    tree = repo.git_dir.parent
    (tree / "scripts/checkpatch.pl").write_bytes(b"#!/usr/bin/env perl\nprint 'x' x 1000, qq(\\n) while 1;\n")
    run(["git", "commit", "-q", "-a", "-m", "Another script"], cwd=tree)
    (result,) = judge(one(repo, tmp_path, b"int b;\n"), tmp_path)
    assert result.status is Status.ERROR
    assert "wrote more than 1 MB and was killed" in result.reason
