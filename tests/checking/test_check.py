import io
import re
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from patchbot.bundle import bundled
from patchbot.checking import runner
from patchbot.checking.check import Check, Item, Outcome, Subject, available, load
from patchbot.checking.runner import run_checks
from patchbot.checking.store import Results
from patchbot.config import ChecksConfig, Waiver
from patchbot.errors import ConfigError, PatchbotError, UserError
from patchbot.git.repo import Repo, Scratch
from patchbot.model import Result, Status
from patchbot.progress import shown
from patchbot.run import run
from patchbot.terminal import Terminal

HEAD = (
    '"""Say something about patches."""\n'
    "from patchbot.checking.check import Outcome\nfrom patchbot.model import Finding, Status\n"
)
COUNTED = HEAD + (
    "def key(subject, item):\n    return item.tree\n"
    "def check(subject, item):\n"
    "    with open(subject.work / 'calls', 'a') as calls:\n        calls.write(item.id + '\\n')\n"
    "    return Outcome(Status.PASS, examined=1)\n"
)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    run(["git", "init", "-q", "--bare", tmp_path / "repo.git"])
    repo = Repo.open(tmp_path / "repo.git")
    items = tuple(
        Item(f"p{n}", f"{n}" * 40, f"{n - 1}" * 40, f"a{n}" * 20, f"a{n - 1}" * 20, f"x: Do {n}", f"step{n}", ("a.c",))
        for n in (1, 2, 3)
    )
    work = tmp_path / "work"
    work.mkdir()
    scratch = Scratch.at(tmp_path / "scratch.git", repo)
    return Subject(repo, scratch, "0" * 40, items, "demo", lambda commit: (), {}, work, jobs=2)


@pytest.fixture
def store(tmp_path: Path) -> Results:
    return Results(tmp_path / "results.db")


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    folder = tmp_path / "mychecks"
    folder.mkdir()
    return folder


def config(checks: Path, *names: str, **options: object) -> ChecksConfig:
    return ChecksConfig(run=names, path=(checks,), options=options)  # type: ignore[arg-type]


def calls(subject: Subject) -> list[str]:
    file = subject.work / "calls"
    return file.read_text().split() if file.exists() else []


def by(results: list[Result], patch: str | None) -> Result:
    (found,) = [r for r in results if r.patch == patch]
    return found


@pytest.mark.parametrize("name", sorted(available()))
def test_every_bundled_check_loads_and_says_what_it_does(name: str) -> None:
    check = load(name)
    assert check.doc.endswith(".")
    assert check.patch or check.each or check.series


def test_bundled_prefers_the_package_and_never_takes_site_packages(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "patchbot"
    package.mkdir(parents=True)
    (package.parent / "checks").mkdir()
    with pytest.raises(PatchbotError, match="broken"):
        bundled("checks", package)
    (package / "checks").mkdir()
    assert bundled("checks", package) == package / "checks"


def test_a_check_knows_what_it_still_has_to_judge(subject: Subject, checks: Path, store: Results) -> None:
    told = (
        "def check(subject, item):\n"
        "    return Outcome(Status.PASS, reason=' '.join(sorted(subject.pending)), examined=1)\n"
    )
    (checks / "one.py").write_text(HEAD + "def key(subject, item):\n    return item.tree\n" + told)
    only = run_checks(subject, config(checks, "one"), store, only_patches={2})
    assert [(r.patch, r.reason) for r in only] == [("p2", "p2")]
    rest = run_checks(subject, config(checks, "one"), store)
    assert [(r.patch, r.reason, r.cached) for r in rest] == [
        ("p1", "p1 p3", False),
        ("p2", "p2", True),
        ("p3", "p1 p3", False),
    ]


def test_unknown_check_lists_the_known_ones(checks: Path) -> None:
    (checks / "mine.py").write_text(COUNTED)
    with pytest.raises(UserError, match=r"no check 'nosuch' \(known: .*applies.*mine"):
        load("nosuch", [checks])


def test_a_check_with_a_dataclass_loads(checks: Path) -> None:
    text = HEAD + "from __future__ import annotations\n"
    body = "from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int\ndef check(subject, item): ...\n"
    (checks / "mine.py").write_text('"""Doc."""\nfrom __future__ import annotations\n' + body)
    assert load("mine", [checks]).patch is not None
    (checks / "mine.py").write_text(text)
    with pytest.raises(UserError, match=r"/mine\.py:\d+: the check mine cannot be loaded: SyntaxError"):
        load("mine", [checks])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def check(s, i): ...\n", "no docstring"),
        ('"""Doc."""\n', "must define"),
        ('"""Doc."""\ndef check(s, i): ...\ndef check_each(s): ...\n', "must define"),
        ('"""Doc."""\nraise SystemExit(0)\n', r"/mine\.py:2: the check mine cannot be loaded"),
        ('"""Doc."""\nimport no_such_module\n', r"/mine\.py:2: .* cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_a_malformed_check_is_refused(checks: Path, text: str, why: str) -> None:
    (checks / "mine.py").write_text(text)
    with pytest.raises(UserError, match=why):
        load("mine", [checks])


def test_two_checks_of_one_name_are_refused(checks: Path) -> None:
    (checks / "applies.py").write_text(COUNTED)
    with pytest.raises(UserError, match="two checks are called applies"):
        available([checks])


def test_results_are_sorted_and_reused_by_content(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(COUNTED)
    (checks / "two.py").write_text(COUNTED.replace("def key", "def nokey"))
    first = run_checks(subject, config(checks, "two", "one"), store)
    assert [(r.check, r.patch) for r in first] == [(c, p) for c in ("two", "one") for p in ("p1", "p2", "p3")]
    assert not any(r.cached for r in first)
    second = run_checks(subject, config(checks, "two", "one"), store)
    assert [r.cached for r in second] == [False] * 3 + [True] * 3
    changed = replace(
        subject, items=(replace(subject.items[0], commit="9" * 40), replace(subject.items[1], tree="b" * 40))
    )
    third = run_checks(changed, config(checks, "one"), store)
    assert [(r.commit, r.cached) for r in third] == [("9" * 40, True), ("2" * 40, False)]
    assert not any(r.cached for r in run_checks(subject, config(checks, "one"), store, full=True))


def test_an_edited_check_runs_again(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(COUNTED)
    run_checks(subject, config(checks, "one"), store)
    (checks / "one.py").write_text(COUNTED + "# edited\n")
    assert not any(r.cached for r in run_checks(subject, config(checks, "one"), store))


@pytest.mark.parametrize("status", ["FAIL", "ERROR"])
def test_a_failure_is_never_reused(subject: Subject, store: Results, checks: Path, status: str) -> None:
    (checks / "one.py").write_text(COUNTED.replace("Status.PASS", f"Status.{status}"))
    for _ in range(2):
        assert {(r.status.value, r.cached) for r in run_checks(subject, config(checks, "one"), store)} == {
            (status, False)
        }
    assert len(calls(subject)) == 6


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ("Outcome(Status.PASS)", "examined nothing"),
        ("Outcome(Status.SKIP)", "not why"),
    ],
)
def test_a_check_that_examined_nothing_never_passes(
    subject: Subject, store: Results, checks: Path, outcome: str, why: str
) -> None:
    (checks / "one.py").write_text(HEAD + f"def check(subject, item):\n    return {outcome}\n")
    for result in run_checks(subject, config(checks, "one"), store):
        assert result.status is Status.ERROR
        assert why in result.reason


def test_an_exception_is_an_error_result_with_a_traceback_on_disk(
    subject: Subject, store: Results, checks: Path
) -> None:
    (checks / "bug.py").write_text(HEAD + "def check(subject, item):\n    return 1 / 0\n")
    (checks / "tool.py").write_text(
        HEAD + "from patchbot.errors import ToolError\ndef check(s, i):\n    raise ToolError('make broke')\n"
    )
    (checks / "key.py").write_text(COUNTED.replace("return item.tree", "return item.nosuch"))
    results = run_checks(subject, config(checks, "bug", "key", "tool"), store)
    assert "no attribute 'nosuch'" in results[3].reason
    assert {r.status for r in results} == {Status.ERROR}
    assert "ZeroDivisionError" in results[0].reason
    assert results[0].log is not None
    assert "return 1 / 0" in Path(results[0].log).read_text()
    assert results[-1].reason == "make broke"
    assert results[-1].log is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Outcome.of([Finding(Status.WARN, 3)], examined=1)", r"its outcome.findings\[0\].message is 3, not a text"),
        ("Outcome.of([Finding(Status.WARN, 'm', 'a.c', '7')], examined=1)", r"line is '7', not a number"),
        ("Outcome.of([Finding(Status.WARN, 'm', Path('a.c'))], examined=1)", "PosixPath"),
        ("Outcome.of([], examined=1, reason=None)", "its outcome.reason is None, not a text"),
        ("[Outcome(Status.PASS, examined=1)] * 2", "it gave 2 outcomes, not 1"),
        ("None", "NoneType"),
        ("'x'", "a bug in one.py"),
    ],
)
def test_what_is_no_outcome_is_an_error_of_the_check(
    subject: Subject, store: Results, checks: Path, said: str, why: str
) -> None:
    (checks / "one.py").write_text(
        HEAD + f"from pathlib import Path\ndef key(s, i):\n    return ''\ndef check(s, i):\n    return {said}\n"
    )
    for result in run_checks(subject, config(checks, "one"), store):
        assert result.status is Status.ERROR
        assert re.search(why, result.reason)


def test_a_status_may_be_told_by_its_name(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(HEAD + "def check(s, i):\n    return Outcome('PASS', [], examined=1)\n")
    assert {r.status for r in run_checks(subject, config(checks, "one"), store)} == {Status.PASS}


def test_a_missing_tool_is_an_error_before_the_check_runs(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(COUNTED + "NEEDS = {'no-such-tool': 'no-such-package'}\n")
    (result,) = run_checks(subject, config(checks, "one"), store)
    assert result.status is Status.ERROR
    assert "no-such-tool is not installed; Debian has it in the package no-such-package" in result.reason
    assert calls(subject) == []


def test_an_empty_series_is_skipped_not_passed(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(COUNTED)
    (result,) = run_checks(replace(subject, items=()), config(checks, "one"), store)
    assert (result.status, result.reason) == (Status.SKIP, "there is no patch to check")


def test_only_some_patches(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(
        COUNTED + "def check_series(subject):\n    return Outcome(Status.PASS, examined=1)\n"
    )
    assert [r.patch for r in run_checks(subject, config(checks, "one"), store, only_patches={2, 3})] == ["p2", "p3"]
    assert [r.patch for r in run_checks(subject, config(checks, "one"), store)] == ["p1", "p2", "p3", None]


def test_a_check_is_told_which_patches_it_is_asked_about_next(subject: Subject, store: Results, checks: Path) -> None:
    said = "    return Outcome(Status.PASS, reason=' '.join(i.id for i in subject.later(item)), examined=1)\n"
    (checks / "one.py").write_text(COUNTED.replace("    return Outcome(Status.PASS, examined=1)\n", said))
    found = run_checks(subject, config(checks, "one"), store, only_patches={1, 3})
    assert [(r.patch, r.reason) for r in found] == [("p1", "p3"), ("p3", "")]


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_another_run_finds_meanwhile_is_not_done_again(subject, store, checks, exclusive):
    text = COUNTED.replace("    return Outcome", "    import mine_hook; mine_hook.hook(item)\n    return Outcome")
    (checks / "one.py").write_text(f"{text}EXCLUSIVE = {exclusive}\n")
    alone = replace(subject, jobs=1)
    others = []

    def hook(item):
        if item.id == "p1" and not others:
            others.append(None)
            with closing(Results(store._store.path)) as own:  # what another process would do now
                others[:] = run_checks(alone, config(checks, "one"), own)

    sys.modules["mine_hook"] = SimpleNamespace(hook=hook)
    try:
        results = run_checks(alone, config(checks, "one"), store)
    finally:
        del sys.modules["mine_hook"]
    assert [r.cached for r in others] == [False] * 3
    assert [r.cached for r in results] == [False, True, True]
    assert calls(subject) == ["p1", "p1", "p2", "p3"]


def test_fail_fast_skips_the_rest_and_says_so(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(
        COUNTED.replace("Outcome(Status.PASS", "Outcome(Status.FAIL if item.id == 'p2' else Status.PASS")
    )
    (checks / "two.py").write_text(COUNTED)
    results = run_checks(subject, config(checks, "one", "two"), store, fail_fast=True)
    assert [r.status.value for r in results] == ["PASS", "FAIL", "SKIP", "SKIP", "SKIP", "SKIP"]
    assert "one of p2 failed" in results[-1].reason
    assert calls(subject) == ["p1", "p2"]
    assert not any(r.cached for r in run_checks(subject, config(checks, "two"), store)), "a skipped check is not done"


def test_each_check_says_how_it_went_when_it_ends(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(COUNTED.replace("Outcome(Status.PASS", "Outcome(Status.WARN"))
    (checks / "two.py").write_text(COUNTED + 'EXCLUSIVE = True\nCAMPAIGN = "other"\n')
    (checks / "last.py").write_text(COUNTED + "EXCLUSIVE = True\n")
    run_checks(subject, config(checks, "last"), store, only_patches={1})
    said = io.StringIO()
    with shown(Terminal(file=said)):
        run_checks(subject, config(checks, "last", "two", "one"), store)
    plain = re.sub(r"\d\.\d s", "N s", said.getvalue())
    assert plain == "two: 1 SKIP, N s\none: 3 WARN, N s\nlast: 3 PASS, 1 of them known before, N s\n"
    with shown(Terminal(file=(said := io.StringIO()))):
        run_checks(subject, config(checks, "one"), store)
    assert said.getvalue() == "one: 3 WARN, 3 of them known before\n"


def test_what_a_check_is_at_reaches_the_display_from_its_thread(
    subject: Subject, store: Results, checks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []
    board = SimpleNamespace(tick=lambda *row: told.append(row), count=lambda *row: told.append(row))
    monkeypatch.setattr("patchbot.progress._board", SimpleNamespace(get=lambda: board))
    text = COUNTED.replace("    with open", "    tick('objects', 1, 2)\n    with open")
    (checks / "one.py").write_text("from patchbot.progress import tick\n".join(text.partition(HEAD)[1:]))
    run_checks(subject, config(checks, "one"), store)
    assert ("one", "objects", 1, 2) in told
    assert [row for row in told if isinstance(row[1], int)] == [("one", n, 3, None) for n in range(4)]


def test_one_go_for_all_patches(subject: Subject, store: Results, checks: Path) -> None:
    text = (
        "def key_series(subject):\n    return 'k'\n"
        "def check_each(subject):\n    return [Outcome(Status.PASS, examined=1, reason=i.id) for i in subject.items]\n"
    )
    (checks / "one.py").write_text(HEAD + text)
    assert [r.reason for r in run_checks(subject, config(checks, "one"), store, only_patches=[2])] == ["p2"]
    again = run_checks(subject, config(checks, "one"), store)
    assert [(r.reason, r.cached) for r in again] == [("p1", False), ("p2", False), ("p3", False)]
    assert all(r.cached for r in run_checks(subject, config(checks, "one"), store))
    (checks / "one.py").write_text(HEAD + text.replace("subject.items]", "subject.items[1:]]"))
    assert "returned 2 outcomes for 3" in run_checks(subject, config(checks, "one"), store)[0].reason


def test_options_reach_their_check(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(
        HEAD + "def check(subject, item):\n    return Outcome(Status.PASS, examined=1, reason=subject.options['x'])\n"
    )
    assert {r.reason for r in run_checks(subject, config(checks, "one", one={"x": "y"}), store)} == {"y"}


def test_ctrl_c_keeps_what_is_known(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(
        COUNTED.replace("    with open", "    if item.id == 'p3':\n        raise KeyboardInterrupt\n    with open")
        + "EXCLUSIVE = True\n"
    )
    with pytest.raises(KeyboardInterrupt):
        run_checks(subject, config(checks, "one"), store)
    again = run_checks(subject, config(checks, "one"), store, only_patches={1, 2})
    assert [r.cached for r in again] == [True, True]


def test_cheap_checks_run_side_by_side_and_exclusive_ones_alone(
    subject: Subject, store: Results, checks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []
    peaks: dict[str, int] = {}
    lock = threading.Lock()

    def busy(subject: Subject, item: Item) -> Outcome:
        name = str(subject.options["name"])
        with lock:
            running.append(name)
            peaks[name] = max(peaks.get(name, 0), len(running))
        time.sleep(0.05)
        with lock:
            running.remove(name)
        return Outcome(Status.PASS, examined=1)

    for name in ("cheap", "heavy"):
        (checks / f"{name}.py").write_text(COUNTED + ("EXCLUSIVE = True\n" if name == "heavy" else ""))
    real = runner.load

    def loaded(name: str, chosen: ChecksConfig) -> Check:
        return replace(real(name, chosen), patch=busy)

    monkeypatch.setattr(runner, "load", loaded)
    both = config(checks, "heavy", "cheap", heavy={"name": "heavy"}, cheap={"name": "cheap"})
    results = run_checks(subject, both, store)
    assert peaks == {"cheap": 2, "heavy": 1}
    assert [r.check for r in results] == ["heavy"] * 3 + ["cheap"] * 3


FINDS = HEAD + (
    "def check(subject, item):\n"
    "    bad = Finding(Status.FAIL, 'too long', 'a/b.c', 3, 'LONG_LINE')\n"
    "    odd = Finding(Status.WARN, 'odd', None, None, 'ODD')\n"
    "    return Outcome.of([bad, odd] if item.id == 'p1' else [bad] if item.id == 'p2' else [], examined=1)\n"
)


def waive(**changes: object) -> Waiver:
    return replace(Waiver("one", "LONG_LINE", "step1", "a/b.c", 1, "it is a table"), **changes)  # type: ignore[arg-type]


def test_a_waiver_takes_its_own_findings_only(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(FINDS)
    rules = replace(config(checks, "one"), waivers=(waive(),))
    results = run_checks(subject, rules, store)
    assert by(results, "p1").status is Status.WARN, "the other finding stays"
    assert by(results, "p1").reason == "waived: 1 x LONG_LINE (it is a table)"
    assert {f.status for f in by(results, "p1").findings} == {Status.WARN}
    assert by(results, "p2").status is Status.FAIL, "another step"
    assert by(results, "p3").status is Status.PASS
    both = (waive(path="a/*.c"), waive(type="ODD", path="*"))
    results = run_checks(subject, replace(rules, waivers=both), store)
    assert by(results, "p1").status is Status.PASS
    assert len(by(results, "p1").findings) == 2


def test_how_a_check_went_is_said_with_its_waivers(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(FINDS)
    rules = replace(config(checks, "one"), waivers=(waive(), waive(step="step2")))
    with shown(Terminal(file=(said := io.StringIO()))):
        run_checks(subject, rules, store)
    assert said.getvalue().startswith("one: 2 PASS, 1 WARN, ")


def test_what_is_right_needs_no_waiver(subject: Subject, store: Results, checks: Path) -> None:
    right = "Finding(Status.PASS, 'it fits', 'a/b.c', 8, 'LONG_LINE')"
    (checks / "one.py").write_text(FINDS.replace("[bad, odd]", f"[bad, {right}]"))
    result = by(run_checks(subject, replace(config(checks, "one"), waivers=(waive(),)), store), "p1")
    assert (result.status, result.reason) == (Status.PASS, "waived: 1 x LONG_LINE (it is a table)")
    assert [f.status for f in result.findings] == [Status.WARN, Status.PASS]


def test_an_unused_waiver_warns_and_an_exceeded_one_fails(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(FINDS)
    unused = replace(config(checks, "one"), waivers=(waive(type="NEVER"),))
    result = by(run_checks(subject, unused, store), None)
    assert result.status is Status.WARN
    assert "the waiver of NEVER for step step1, a/b.c is not used" in result.reason
    assert all(r.patch for r in run_checks(subject, unused, store, only_patches={2})), "a partial run cannot know"
    needless = replace(unused, waivers=(waive(type="NEVER", optional=True),))
    assert all(r.patch for r in run_checks(subject, needless, store)), "not every kernel needs it"
    off = replace(unused, waivers=(waive(type="NEVER", step="optional"),))
    assert all(r.patch for r in run_checks(subject, off, store)), "a step that is switched off finds nothing"
    same = replace(subject, items=tuple(replace(i, step="step1") for i in subject.items))
    results = run_checks(same, replace(unused, waivers=(waive(),)), store)
    assert by(results, None).status is Status.FAIL
    assert "allows 1 findings, there are 2" in by(results, None).reason
    assert by(results, "p1").status is Status.FAIL
    results = run_checks(same, replace(unused, waivers=(waive(optional=True),)), store)
    assert by(results, None).status is Status.FAIL, "optional is no bound"


def test_options_of_a_check_that_is_not_there_are_refused(subject: Subject, store: Results, checks: Path) -> None:
    (checks / "one.py").write_text(FINDS)
    with pytest.raises(ConfigError, match=r"\[checks\] unknown key 'on'; did you mean one\?"):
        run_checks(subject, replace(config(checks, "one"), options={"on": {"strict": True}}), store)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": "*"}, "waive everything"),
        ({"type": " "}, "waive everything"),
        ({"check": "nosuch"}, r"no check 'nosuch' \(known: .*one"),
        ({"check": "applies"}, "cannot be waived"),
    ],
)
def test_a_blanket_waiver_is_refused(
    subject: Subject, store: Results, checks: Path, changes: dict[str, str], why: str
) -> None:
    (checks / "one.py").write_text(FINDS)
    with pytest.raises(ConfigError, match=why):
        run_checks(subject, replace(config(checks, "one", "applies"), waivers=(waive(**changes),)), store)
