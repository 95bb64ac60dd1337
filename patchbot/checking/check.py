"""Define what a check is, what it gets and what it returns; find its file and load it.

A check is one file: its name is the file's name, and `patchbot checks` prints the first line of its docstring. It has

    NEEDS = {"perl": "perl"}              programs and the Debian packages that have them (optional)
    EXCLUSIVE = True                      runs alone, as it uses every processor itself (optional)
    CAMPAIGN = "timer_delete"             is about this campaign only; SKIP in others (optional)
    WAIVABLE = False                      its findings cannot be waived (optional)
    OPTIONS = Options                     a dataclass that [checks.<name>] must fit, or the names of its keys (optional)
    def check(subject, item)              judge one patch                       -> Outcome
    def check_each(subject)               or: judge all patches in one go       -> one Outcome for each item
    def check_series(subject)             judge the series as a whole           -> Outcome
    def key(subject, item)                the input of `check`, as text; None = never reuse (optional)
    def key_series(subject)               the same for `check_each` and `check_series` (optional)

and raises PatchbotError if it cannot do its work. The runner adds patchbot's version and the check's own source to the
key. A failure is never reused.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle import bundled
from ..config import fit, refuse_unknown, suggestion
from ..draft.range import Range
from ..errors import ConfigError, PatchbotError, UserError, line_in
from ..git.repo import Repo, Scratch
from ..identity import identity
from ..model import Covered, Evidence, Finding, Status
from ..sandbox import NORMAL, Sandbox
from ..series.campaign import BuildWishes, Site


@dataclass(frozen=True)
class Item:
    """One commit under check; `id` is the patch's stable id, `files` are the paths that it changes."""

    id: str
    commit: str
    parent: str
    tree: str
    parent_tree: str
    subject: str
    step: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """The series under check, and the places where a check may work.

    All git work happens in `scratch`, which sees the objects of `repo` too. `mails` are git format-patch's mails by
    commit. `witnesses` names the files that show the effect of a commit, `sites` gives the campaign's
    sites in it. `work` is patchbot's own folder for this repository. `options` is the check's own table of
    patchbot.toml, `tables` holds those of all checks by name. `decisions` are the campaign's, by the names that
    they are about. A tree's own programs run in `sandbox`. `wishes` is what the campaign wants from a build,
    `source` the identity of the code that gives its sites and witnesses. `pending` are the ids of the patches that
    the check has still to judge in this run, where that is known; one that looks at several at once strikes them off.
    """

    repo: Repo
    scratch: Scratch
    base: str
    items: tuple[Item, ...]
    campaign: str
    witnesses: Callable[[str], Sequence[str]]
    mails: Mapping[str, bytes]
    work: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 1
    sites: Callable[[str], Sequence[Site]] = lambda _: ()
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sandbox: Sandbox = NORMAL
    wishes: BuildWishes = field(default_factory=BuildWishes)
    source: str = ""
    pending: set[str] = field(default_factory=set)

    def later(self, item: Item) -> list[Item]:
        """Return the items after one that the check has still to judge."""
        return [one for one in self.items[self.items.index(item) + 1 :] if one.id in self.pending]

    def mail(self, item: Item) -> bytes:
        """Return the mail of a commit."""
        try:
            return self.mails[item.commit]
        except KeyError:
            raise PatchbotError(f"commit {item.commit[:12]} ({item.subject}) has no mail") from None

    def log(self, check: str, item: Item | None) -> Path:
        """Return the path of a check's log of one patch or, without one, of the series; its folder exists."""
        folder = self.work / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        what = item.commit[:12] if item else f"series-{self.items[-1].commit[:12] if self.items else self.base[:12]}"
        return folder / f"{check}-{what}.log"


def items(repo: Repo, series: Range) -> tuple[Item, ...]:
    """Return the commits of a range as checks see them."""
    made = []
    before = repo.tree_of(series.base)
    for commit, known in zip(series.commits, series.known, strict=True):
        files = (known and known.files) or tuple(repo.changed_paths(commit.parent, commit.sha))
        name, step = (known.id, known.step) if known else (commit.sha[:12], "")
        made.append(Item(name, commit.sha, commit.parent, commit.tree, before, commit.subject, step, files))
        before = commit.tree
    return tuple(made)


@dataclass(frozen=True)
class Outcome:
    """The result of a check: `examined` counts what it looked at, and 0 is never PASS; SKIP always has a reason.

    A finding with PASS says what was right; only -v and the page show it, and `evidence`. The page shows in its diffs
    which of the changed lines are `covered`.
    """

    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    examined: int = 0
    log: Path | None = None
    reproduce: str = ""
    evidence: tuple[Evidence, ...] = ()
    covered: tuple[Covered, ...] = ()

    @classmethod
    def of(
        cls,
        findings: Iterable[Finding],
        *,
        examined: int,
        reason: str = "",
        log: Path | None = None,
        reproduce: str = "",
        evidence: tuple[Evidence, ...] = (),
    ) -> Outcome:
        """Return the outcome of findings: the worst of them, PASS if there is none."""
        found = tuple(findings)
        status = Status.worst([f.status for f in found]) if found else Status.PASS
        return cls(status, found, reason, examined, log, reproduce, evidence)


@dataclass(frozen=True)
class Check:
    """A loaded check; `source` is the identity of its file, `campaign` the only campaign that it is about."""

    name: str
    file: Path
    doc: str
    source: str
    needs: Mapping[str, str]
    exclusive: bool
    campaign: str
    waivable: bool
    options: type[Any] | Sequence[str] | None
    patch: Callable[[Subject, Item], Outcome] | None
    each: Callable[[Subject], Sequence[Outcome]] | None
    series: Callable[[Subject], Outcome] | None
    patch_key: Callable[[Subject, Item], str | None]
    series_key: Callable[[Subject], str | None]


def available(paths: Sequence[Path] = ()) -> dict[str, Path]:
    """Return {name: file} of every check: the bundled ones and those in the folders `paths`."""
    found: dict[str, Path] = {}
    for folder in (bundled("checks"), *paths):
        if not folder.is_dir():
            raise ConfigError(f"[checks] path: {folder} is not a directory", "checks.path")
        for file in sorted(folder.glob("*.py")):
            if file.stem.startswith("_"):
                continue
            if file.stem in found:
                raise UserError(f"two checks are called {file.stem}: {found[file.stem]} and {file}; rename one")
            found[file.stem] = file
    return dict(sorted(found.items()))


def load(name: str, paths: Sequence[Path] = (), others: Sequence[str] = ()) -> Check:
    """Load the check `name`; an unknown name is a UserError that lists the known ones, with `others`."""
    files = available(paths)
    if name not in files:
        known = sorted({*files, *others})
        hint = suggestion(name, known)
        raise ConfigError(f"there is no check {name!r}{hint} (known: {', '.join(known)})", "checks.run")
    file = files[name]
    module_name = "patchbot_check_" + re.sub(r"\W", "_", str(file.with_suffix("")))
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # @dataclass looks up its module in sys.modules, so it must be there before the file runs.
    sys.modules[module_name] = module
    try:
        source = file.read_bytes()
        # Not exec_module(): it would run byte code next to the file, and write some there.
        exec(compile(source, file, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        where = line_in(error, file.parent) or file
        raise UserError(f"{where}: the check {name} cannot be loaded: {type(error).__name__}: {error}") from error
    hooks = {hook: getattr(module, hook, None) for hook in ("check", "check_each", "check_series")}
    if not any(hooks.values()) or (hooks["check"] and hooks["check_each"]):
        raise UserError(f"the check {file} must define check or check_each, or check_series")
    doc = (module.__doc__ or "").strip().split("\n")[0]
    if not doc:
        raise UserError(f"the check {file} has no docstring; its first line is what `patchbot checks` prints")
    return Check(
        name,
        file,
        doc,
        identity(file),
        getattr(module, "NEEDS", {}),
        getattr(module, "EXCLUSIVE", False),
        getattr(module, "CAMPAIGN", ""),
        getattr(module, "WAIVABLE", True),
        getattr(module, "OPTIONS", None),
        hooks["check"],
        hooks["check_each"],
        hooks["check_series"],
        getattr(module, "key", lambda subject, item: None),
        getattr(module, "key_series", lambda subject: None),
    )


def refuse_unfit(check: Check, table: Mapping[str, Any]) -> None:
    """Raise ConfigError where a check's table of patchbot.toml holds what the check does not take."""
    key = f"checks.{check.name}"
    if isinstance(check.options, type):
        fit("patchbot.toml", key, table, check.options)
    elif check.options is not None:
        refuse_unknown("patchbot.toml", key, table, check.options)
