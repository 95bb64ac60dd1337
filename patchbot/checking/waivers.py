"""Apply waivers: findings that a person accepts, of one type, in one step and path, at most so many, for a reason.

They are applied to results from the store, so that no check is repeated because a waiver changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from ..config import Waiver, suggestion
from ..errors import ConfigError
from ..model import Finding, Result, Status

#: The step of a finding about the series as a whole.
SERIES = "series"


def refuse_blanket_waivers(waivers: Sequence[Waiver], waivable: Mapping[str, bool], known: Iterable[str]) -> None:
    """Raise ConfigError for a waiver without a single type, of an unknown check, or of one that allows no waivers."""
    names = sorted(known)
    for number, waiver in enumerate(waivers, 1):
        where = f"checks.waivers[{number}]"
        if not waiver.type.strip() or any(c in waiver.type for c in "*?["):
            raise ConfigError(
                f"{where}: type {waiver.type!r} would waive everything; name one type of finding", f"{where}.type"
            )
        if waiver.check not in names:
            hint = suggestion(waiver.check, names)
            text = f"{where}: there is no check {waiver.check!r}{hint} (known: {', '.join(names)})"
            raise ConfigError(text, f"{where}.check")
        if not waivable.get(waiver.check, True):
            raise ConfigError(f"{where}: findings of {waiver.check} cannot be waived", f"{where}.check")


def refuse_unknown_steps(waivers: Sequence[Waiver], campaign: str, steps: Sequence[str]) -> None:
    """Raise ConfigError for a waiver of a campaign that is for none of its steps: it would never be used."""
    for number, waiver in enumerate(waivers, 1):
        if waiver.campaign == campaign and waiver.step not in (*steps, SERIES):
            hint = suggestion(waiver.step, steps)
            text = f"{campaign} has no step {waiver.step!r}{hint} (known: {', '.join((*steps, SERIES))})"
            raise ConfigError(f"checks.waivers[{number}]: {text}", f"checks.waivers[{number}].step")


def apply_waivers(
    results: Sequence[Result], waivers: Sequence[Waiver], steps: Mapping[str, str], *, complete: bool
) -> list[Result]:
    """Return the results with waivers applied; `steps` maps patch ids to their steps.

    A waiver with more findings than its `max` waives none and adds a FAIL. One without any adds a WARN if the run is
    `complete`, its check could work and its step exists (an optional step may be off); an optional waiver never does.
    """
    there = {SERIES, *steps.values()}
    matched = {w: [(r, f) for r in results for f in r.findings if matches(w, r, f, steps)] for w in waivers}
    good = {w: hits for w, hits in matched.items() if 0 < len(hits) <= w.max}
    out = [lighten(result, [w for w in good if any(r is result for r, _ in good[w])], steps) for result in results]
    for waiver, hits in matched.items():
        own = [] if waiver.optional else [r for r in results if r.check == waiver.check]
        name = f"the waiver of {waiver.type} for step {waiver.step}, {waiver.path}"
        if len(hits) > waiver.max:
            reason = f"{name} allows {waiver.max} findings, there are {len(hits)}"
            out.append(Result(waiver.check, None, None, Status.FAIL, reason, tuple(f for _, f in hits)))
        elif own and not hits and complete and waiver.step in there and not any(broken(r) for r in own):
            out.append(Result(waiver.check, None, None, Status.WARN, f"{name} is not used; remove it"))
    order = list(dict.fromkeys(r.check for r in results))
    return sorted(out, key=lambda r: order.index(r.check))


def matches(waiver: Waiver, result: Result, finding: Finding, steps: Mapping[str, str]) -> bool:
    """Say whether a waiver is about a finding; its path may be a pattern, and `*` includes the commit message."""
    return (
        finding.status is not Status.PASS
        and waiver.check == result.check
        and waiver.type == finding.type
        and waiver.step == (steps.get(result.patch, "") if result.patch else SERIES)
        and (waiver.path == finding.file or fnmatchcase(finding.file or "", waiver.path))
    )


def broken(result: Result) -> bool:
    """Say whether a check could not do its work, so that its silence means nothing."""
    return result.status in (Status.ERROR, Status.SKIP)


def lighten(result: Result, waivers: Sequence[Waiver], steps: Mapping[str, str]) -> Result:
    """Return a result with the findings of `waivers` as WARN at worst, and with the status of the others.

    A status that the findings do not explain is kept.
    """
    if not waivers or result.status is Status.ERROR:
        return result
    findings, notes, rest = [], Counter[Waiver](), [Status.PASS]
    for finding in result.findings:
        waiver = next((w for w in waivers if matches(w, result, finding, steps)), None)
        if waiver is None:
            rest.append(finding.status)
            findings.append(finding)
        else:
            notes[waiver] += 1
            findings.append(replace(finding, status=min(finding.status, Status.WARN, key=lambda s: s.rank)))
    explained = result.status is Status.worst([f.status for f in result.findings])
    note = "; ".join(f"waived: {count} x {w.type} ({w.reason})" for w, count in notes.items())
    return replace(
        result,
        status=Status.worst(rest) if explained else result.status,
        reason="; ".join(part for part in (result.reason, note) if part),
        findings=tuple(findings),
    )
