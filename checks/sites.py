"""The compiler's preprocessor sees the same rows in the kfunc sets of the base and of the tip as the inventory does.

Each file that holds or includes a set goes through `gcc -E` with the sets' macros replaced by marks and every branch of
each #if kept; the result (file, set, kfunc, flags) must be what `patchbot scan` lists. A row that only one of them has
is a site that would be lost, or one that does not exist. It needs no configured kernel and takes seconds.
"""

from __future__ import annotations

from patchbot.campaigns.kfunc_flags.sites.expansion import compared
from patchbot.checking.check import Outcome, Subject
from patchbot.git.grep import GrepCache
from patchbot.model import Finding, Status
from patchbot.run import run
from patchbot.series.tree import Tree

NEEDS = {"gcc": "gcc"}
WAIVABLE = False
OPTIONS = ()
CAMPAIGN = "kfunc_flags"
#: At most so many differences are shown; the log has all of them.
MOST = 200


def key_series(subject: Subject) -> str:
    """Return the input: two trees, the decisions to keep rows, and the preprocessor."""
    gcc = run(["gcc", "--version"]).stdout.split(b"\n")[0].decode("utf-8", "replace")
    tip = subject.items[-1].tree if subject.items else ""
    return f"{subject.campaign} {subject.repo.tree_of(subject.base)} {tip} {gcc} {kept_by(subject)}"


def kept_by(subject: Subject) -> list[str]:
    """Return the kfuncs whose rows a person decided to keep."""
    return sorted(kfunc for kfunc, decision in subject.decisions.items() if decision.get("keep"))


def check_series(subject: Subject) -> Outcome:
    """Compare the rows of the base, and those of the last patch, with what the preprocessor sees there."""
    kept = kept_by(subject)
    log = subject.log("sites", None)
    log.write_text("")
    findings: list[Finding] = []
    said, examined = [], 0
    for what, commit in (("the base", subject.base), ("the tip", subject.items[-1].commit)):
        tree = Tree(subject.repo, commit, {}, GrepCache(subject.work / "grep.sqlite"))
        count, found = compared(tree, subject.jobs, kept)
        examined += count
        said.append(f"{count} rows in {what}")
        with log.open("a") as out:
            out.writelines(f"{what}: {file}:{line}: {message}\n" for message, file, line in found)
        findings += [
            Finding(Status.FAIL, f"{what}: {message}", file or None, line or None, "SITES")
            for message, file, line in found
        ]
    if not examined and not findings:
        return Outcome(Status.SKIP, reason="neither the base nor the tip has a kfunc set", log=log)
    reason = " and ".join(said)
    reason += f" by the preprocessor, {len(findings)} differences" if findings else ", the same by the preprocessor"
    return Outcome.of(findings[:MOST], examined=examined or 1, reason=reason, log=log)
