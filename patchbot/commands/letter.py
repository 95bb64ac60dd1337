"""Say what the cover letter of a posting says: the counts and results of its own patches, and what came before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import __version__
from ..draft.changeids import home
from ..draft.covers import MARK, Cover, Letter, merge
from ..draft.posted import Series, change_id, leads, needed_series, waiting_for
from ..draft.range import Range
from ..draft.rangediff import Side, render
from ..draft.record import Draft, need_draft, version_of
from ..draft.versions import changes_since
from ..errors import UserError
from ..git.commits import author_of
from ..git.formatpatch import patch_ids
from ..mail.compose import Outbox, Posting, choose, make_mails, render_letter
from ..mail.corrections import Corrections
from ..mail.headers import parse_date
from ..mail.recipients import recipients
from ..mail.sending import read_settings
from ..model import Evidence
from ..series import maintainers
from ..series.campaign import Context
from ..series.render import render as render_text
from ..series.tree import Tree
from ..shapes import convert
from .session import Session
from .subject import report_of, select


@dataclass(frozen=True)
class Wanted:
    """How a person wants the mails: None is what patchbot.toml says, or what is usual."""

    rfc: bool | None = None
    range_diff: bool | None = None
    signoff: bool = False
    date: str | None = None


def compose(session: Session, series: Range, tree: Tree, wanted: Wanted) -> Outbox:
    """Return the mails of the campaign's next posting."""
    posting, targets, told = prepare(session, series, tree, wanted)
    folder = session.work / "recipients"
    correct = corrections(session, tree, posting.target).apply
    how: Any = {"folder": folder, "sandbox": lambda: session.sandbox, "correct": correct}
    who_gets = partial(recipients, session.repo, series.base, **how)
    return make_mails(session.scratch, series.base, series.commits, targets, posting, told, who_gets)


def prepare(
    session: Session, series: Range, tree: Tree, wanted: Wanted
) -> tuple[Posting, dict[str, str], Mapping[str, Any]]:
    """Return how a series is posted, {commit: tree}, and the facts for its letter."""
    assert series.draft is not None
    config = session.campaign_config
    target = series.draft.document.target or config.target
    entries = maintainers.sections(tree.read("MAINTAINERS"))
    for text in entries.unusable:
        session.say(f"note: {text}")
    whole = need_draft(session.repo, config.name)
    since, needs = since_last(session, series), needs_of(session, series, whole)
    told = facts(session, series, whole, tree, since, needs)
    rfc = config.rfc if wanted.rfc is None else wanted.rfc
    if rfc is None and (told["part"] or {}).get("follows"):
        rfc = False  # comments are wanted on the series that it follows
    targets = {
        c.sha: target if series.posting else (known and known.target) or target
        for c, known in zip(series.commits, series.known, strict=True)
    }
    ranged = config.range_diff if wanted.range_diff is None else wanted.range_diff
    posted, _ = choose(series.commits, targets, target, session.campaign.most)
    posting = Posting(
        config.name,
        target,
        author_of(session.repo, session.config.author),
        version=version(session, series),
        rfc=rfc,
        signoff=wanted.signoff,
        date=parse_date(wanted.date) if wanted.date else None,
        template=session.campaign.cover,
        folder=session.campaign.folder,
        most=session.campaign.most,
        lists=tuple(maintainers.lists_of(entries, target)),
        notes=dropped_notes(series, since),
        settings=read_settings(session.repo),
        base=series.foundation,
        foot=foot(session, series, whole, needs),
        range_diff=range_diff(session, since, {c.sha for c in posted}) if since and ranged else (),
        finish=partial(finished, session, series, told),
    )
    return posting, targets, told


def letter_of(session: Session, series: Range) -> tuple[Letter, int]:
    """Return the letter of a series as it would be mailed, and its version; raise UserError for a single patch."""
    posting, targets, told = prepare(session, series, session.tree(series.base), Wanted(range_diff=False))
    posted, waiting = choose(series.commits, targets, posting.target, posting.most)
    if len(posted) < 2:
        raise UserError(
            "a single patch has no cover letter: what is to stand below its --- belongs below a line with --- in its"
            " commit message"
        )
    return written(session, series, told, render_letter(posted, waiting, posting, told)), posting.version


def written(session: Session, series: Range, told: Mapping[str, Any], generated: str) -> Letter:
    """Return a generated letter with what a person wrote."""
    draft = need_draft(session.repo, session.campaign.name)
    since = told["since"]
    lists = {str(since["version"]): render_text("campaign/changes.txt.j2", **told).strip("\n") + "\n"} if since else {}
    return merge(draft.covers.get(name_of(series), Cover()), generated, lists)


def finished(session: Session, series: Range, told: Mapping[str, Any], generated: str) -> str:
    """Return a generated letter as it is mailed; raise UserError where a person's text contradicts it."""
    letter = written(session, series, told, generated)
    if letter.conflict:
        raise contradicting(session, series)
    return letter.text


def contradictions(session: Session) -> list[dict[str, str]]:
    """Return {"posting", "command"} of each letter by hand of the draft that contradicts what is generated now.

    The command settles it. What cannot be mailed as it is, for another reason, is left out.
    """
    found = []
    draft = need_draft(session.repo, session.campaign.name)
    rows = {row.name for row in draft.document.postings or ()}
    for name in sorted(draft.covers.keys() & (rows or {home(draft.document)})):
        with suppress(UserError):
            series = select(session, draft.campaign, name if rows else None)
            if letter_of(session, series)[0].conflict:
                found.append({"posting": name, "command": f"{cover_command(session, series)} --edit"})
    return found


def told_contradictions(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return what to say of `contradictions`, a line for each."""
    what = "contradicts what is generated now, and mail waits for you"
    return [f"your cover letter of {row['posting']} {what}: {row['command']}" for row in rows]


def cover_command(session: Session, series: Range) -> str:
    """Return the command that shows the letter of a series."""
    return f"patchbot cover {session.campaign.name}" + (f" --tree {series.posting.name}" if series.posting else "")


def contradicting(session: Session, series: Range) -> UserError:
    """Return the error for a letter by hand that cannot be merged."""
    command = cover_command(session, series)
    return UserError(
        f"your cover letter contradicts what is generated now; see both with: {command}\n"
        f"settle it with: {command} --edit; or give your text up: {command} --discard-edits"
    )


def version(session: Session, series: Range) -> int:
    """Return the version that a posting would be mailed as."""
    assert series.draft is not None
    return (
        series.draft.version if series.posting else version_of(session.repo, series.draft.document.campaign, series.tip)
    )


def foot(session: Session, series: Range, whole: Draft, needs: Iterable[Series]) -> tuple[str, ...]:
    """Return the lines below base-commit: which series this is, and what it needs, in the form that b4 reads."""
    lines = [f"change-id: {change_id(session.repo, whole, name_of(series))}"]
    for one in needs:
        if not one.there:
            lines.append(f"prerequisite-change-id: {one.change_id}" + (f":v{one.version}" if one.version else ""))
            lines += [f"prerequisite-message-id: <{one.message_id}>"] if one.message_id else []
    ids = patch_ids(session.scratch, series.foundation, series.base)
    return (*lines, *(f"prerequisite-patch-id: {id_}" for id_ in ids))


def range_diff(session: Session, since: Mapping[str, Any], posted: Collection[str]) -> tuple[str, ...]:
    """Return the lines of the range-diff of what is posted with the last version."""
    pairs = [pair for pair in since["pairs"] if pair.new is None or pair.new in posted]
    lines = [line for line, _ in render(session.scratch, pairs)]
    return (f"Range-diff against v{since['version']}:", *lines)


def corrections(session: Session, tree: Tree, target: str) -> Corrections:
    """Return what corrects who gets the patches for a tree."""
    entries = maintainers.sections(tree.read("MAINTAINERS"))
    return Corrections.of(session.campaign_config, session.config.file, entries, target)


def dropped_notes(series: Range, since: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return {commit: a line for each tag that its patch lost since the last version}."""
    commits = {row.id: row.commit for row in series.known if row}
    notes: dict[str, list[str]] = {}
    for row in (since or {}).get("dropped_trailers", ()):
        if row["patch"] in commits:
            notes.setdefault(commits[row["patch"]], []).append(f"Dropped: {row['trailer']} ({row['reason']})")
    return notes


def name_of(series: Range) -> str:
    """Return the name of the posting that a series is mailed as."""
    assert series.draft is not None
    return series.posting.name if series.posting else home(series.draft.document)


def since_last(session: Session, series: Range) -> dict[str, Any] | None:
    """Return what changed since the last version of a posting, as it would be mailed now; None without a version."""
    assert series.draft is not None
    draft = series.draft
    keys = {row.commit: row.key for row in draft.document.extra or ()}
    rows = [
        (known.id if known else keys.get(c.sha, f"+{c.sha[:12]}"), c)
        for c, known in zip(series.commits, series.known, strict=True)
    ]
    commits, subjects = {key: c.sha for key, c in rows}, {key: c.subject for key, c in rows}
    now = Side("draft", commits, subjects, draft.trailers)
    return changes_since(session.repo, session.scratch, draft.campaign, series.posting, now)


def needs_of(session: Session, series: Range, whole: Draft) -> list[Series]:
    """Return the series that a posting of a draft needs, none for the whole."""
    return needed_series(session.repo, whole, series.posting) if series.posting else []


def facts(
    session: Session,
    series: Range,
    whole: Draft,
    tree: Tree,
    since: Mapping[str, Any] | None,
    needs: Iterable[Series],
) -> Mapping[str, Any]:
    """Return what the cover letter says: the inventory's counts, the recorded results, who made this with what."""
    assert series.draft is not None
    record = series.draft.document
    report = report_of(session, record.campaign, series.tip) or {}
    made = {row.step for row in series.known if row}
    steps = tuple(step for step in record.steps if step in made)
    return {
        "thing": "site",
        **session.campaign.prose(Context(tree, tree, session.campaign_config, steps)),
        "title": session.campaign.title,
        "blurb": "",
        "campaign": session.campaign.name,
        "kernel": record.kernel,
        "steps": steps,
        "counts": record.counts,
        "kept": record.kept,
        "since": since,
        "changes": MARK,
        **part_of(series, whole, [one.facts() for one in needs]),
        "through": record.target if session.campaign_config.conversions == "acks" else "",
        "branch_url": branch_url(session, series),
        "results": [(row["check"], row["patch"] and row["commit"], row["status"]) for row in report.get("results", ())],
        "evidence": posted_evidence(report.get("results", ())),
        "tool": {"name": "patchbot", "version": __version__, "url": session.campaign_config.url},
        "generated_content_doc": tree.exists("Documentation/process/generated-content.rst"),
    }


def part_of(series: Range, whole: Draft, needs: list[dict[str, object]]) -> dict[str, Any]:
    """Return what a posting has of the whole campaign (`part`, None for a whole series), and how it hangs together."""
    if series.posting is None:
        return {"part": None, "needs": needs, "waits": ()}
    row = series.posting
    rows = [row for row in series.known if row]
    leading = leads(whole.document, row)
    part = {
        "target": row.target,
        "sites": sum(len(patch.sites) for patch in rows),
        "files": len({path for patch in rows for path in patch.files}),
        "needs": row.needs,
        "leads": leading,
        "follows": bool(needs) and not leading,
        "alone": not (row.needs or needs or leading),
    }
    return {"part": part, "needs": needs, "waits": waiting_for(whole, row)}


def branch_url(session: Session, series: Range) -> str:
    """Return where a person says that the branch of a posting can be fetched, "" if nowhere."""
    where = session.campaign_config.branches
    name = f"{session.campaign.name}.{series.posting.name}" if series.posting else session.campaign.name
    return f"{where} patchbot/{name}" if where else ""


def posted_evidence(results: Iterable[Mapping[str, Any]]) -> list[Evidence]:
    """Return the figures for the cover letter among recorded results."""
    found = [convert(one, Evidence) for row in results for one in row.get("evidence", ())]
    return [one for one in found if one.posted]
