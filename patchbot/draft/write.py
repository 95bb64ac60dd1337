"""Turn a series and what people put on top of it into a draft in the repository.

Writing happens outside the repository; the refs move in one transaction at the very end. Whatever stops before that
leaves the last draft unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from .. import temporary
from ..errors import UserError
from ..git.diffs import numstat
from ..git.fastimport import NewCommit
from ..git.repo import Repo, Scratch
from ..model import Commit, Identity
from .amendments import Handmade, edits_files
from .covers import Covers, cover_files
from .lines import dropped_since, posting_updates, with_postings
from .produce import FILE as READS
from .produce import Made
from .recognise import changed_rows
from .record import (
    Document,
    Draft,
    ExtraRow,
    document_of,
    plain_commits,
    publish,
    read_draft,
    record_ref,
    write_record,
)
from .restack import Composed, Resolutions, compose
from .trailers import FILE as TRAILERS
from .trailers import Decided, Dropped, Trailers, apply_to_message, decide, format_trailers
from .undo import publish_undoable


@dataclass(frozen=True)
class Carried:
    """What is put on top of a generated series: edits, tags, and the earlier commit of each tagged patch.

    `solved` is as in `compose`, `beside` as in the record.
    """

    handmade: Handmade
    trailers: Trailers
    tagged: Mapping[str, str]
    dropped: tuple[Dropped, ...] = ()
    threshold: float = 0.0
    solved: frozenset[tuple[str, str]] = frozenset()
    beside: str | None = None
    covers: Covers = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A written branch: `commits` in order (`id` is a stable id or an extra commit's key).

    `changed` says whether the branch moved.
    """

    commits: tuple[Commit, ...]
    document: Document
    composed: Composed
    decided: Decided
    record: str
    stat: Mapping[str, int]
    changed: bool

    @property
    def tip(self) -> str:
        """Return the last commit."""
        return self.commits[-1].sha


@contextmanager
def workshop(source: Repo) -> Iterator[Scratch]:
    """Yield a scratch repository that is removed afterwards."""
    with temporary.folder("draft") as folder, closing(Scratch.at(folder / "scratch.git", source)) as scratch:
        yield scratch


def carried(repo: Repo, draft: Draft | None) -> Carried:
    """Return the people's work that the record of a draft keeps."""
    if draft is None:
        return Carried(Handmade(), {}, {})
    return Carried(draft.handmade, draft.trailers, draft.commits, dropped_since(repo, draft), covers=draft.covers)


def beside(draft: Draft | None, base: str, configured: str | None) -> str | None:
    """Return the configured base to remember where a series goes elsewhere: what it was when the series came there."""
    if draft is not None and draft.base == base:
        return draft.document.beside
    return configured if configured != base else None


def put(
    repo: Repo,
    scratch: Scratch,
    made: Made,
    author: Identity,
    given: Carried,
    resolutions: Resolutions | None = None,
    *,
    taken: str | None = None,
    dry_run: bool = False,
) -> Result:
    """Write a series with what people put on top of it, and make it the draft.

    `taken` is the tip of the branch whose commits by hand are in `given`. Raises Conflicts if an edit contradicts
    the generated patch; nothing was moved then.
    """
    series = made.series
    composed = compose(repo, series, given.handmade, author, resolutions, given.solved)
    if not composed.commits:
        again = f"patchbot regenerate {series.campaign} --onto {series.kernel.base[:12]} --discard-edits"
        raise UserError(f"you dropped every patch of {series.campaign} by hand; bring them back with: {again}")
    plain = plain_commits(repo, series, author) if given.handmade else list(composed.commits)
    decided = judge(repo, scratch, series.kernel.base, composed, given)
    dropped = tuple(d for d in decided.dropped if d not in given.dropped)
    final = dressed(composed, decided)
    generated = scratch.write(series.kernel.base, plain)
    same = list(final) == plain
    commits = generated if same else scratch.write(series.kernel.base, final)
    document = document_of(series, generated, made.facts)
    if not same:
        rows = tuple(row for row in changed_rows(scratch, [document.row(c.id) for c in commits], commits) if row)
        extra = tuple(ExtraRow(c.sha, c.id, c.subject) for c in commits if not document.row(c.id))
        document = replace(document, generated=document.patches, patches=rows, extra=extra)
    document = replace(document, dropped_trailers=decided.dropped or None, beside=given.beside)
    draft = read_draft(repo, series.campaign)
    last = draft.document if draft else None
    # git reads every changed file to count lines; the postings are written meanwhile.
    with ThreadPoolExecutor(1) as counting:
        stat = counting.submit(numstat, scratch, [c.sha for c in commits])
        if not dry_run:
            document = with_postings(scratch, author, document, commits, last)
        files = {READS: made.reads, **kept_files(composed.handmade, decided.kept, given.covers)}
        record = write_record(scratch, author, commits[-1].sha, document, files)
        changed = False
        if not dry_run:
            moves = posting_updates(repo, document, last)
            base = series.kernel.base
            changed = publish(repo, scratch, series.campaign, base, commits[-1].sha, record, taken, moves)
    fresh = replace(decided, dropped=dropped)
    return Result(tuple(commits), document, composed, fresh, record, stat.result(), changed)


def write_again(
    repo: Repo,
    scratch: Scratch,
    author: Identity,
    draft: Draft,
    tip: str,
    document: Document,
    handmade: Handmade,
    tags: Trailers,
) -> str:
    """Write the record of a draft that is not made anew, with its branch at `tip`, and return its id."""
    files = kept_files(handmade, tags, draft.covers)
    if reads := repo.read(draft.record, READS):
        files[READS] = reads
    return write_record(scratch, author, tip, document, files)


def kept_files(handmade: Handmade, tags: Trailers, covers: Covers) -> dict[str, bytes]:
    """Return the files of a record that hold what people put on top of a series."""
    return {**edits_files(handmade), **({TRAILERS: format_trailers(tags)} if tags else {}), **cover_files(covers)}


def keep_covers(repo: Repo, scratch: Scratch, author: Identity, draft: Draft, covers: Covers) -> None:
    """Make the record of a draft keep other letters; nothing else changes."""
    changed = replace(draft, covers=covers)
    record = write_again(repo, scratch, author, changed, draft.tip, draft.document, draft.handmade, draft.trailers)
    updates = [(record_ref(draft.campaign), record, draft.record)]
    publish_undoable(repo, scratch, draft.campaign, updates, draft.base)


def judge(repo: Repo, scratch: Scratch, base: str, composed: Composed, given: Carried) -> Decided:
    """Say which tags hold for the new branch; for that its commits are written to a separate repository."""
    if not given.trailers:
        return Decided({}, given.dropped)
    with closing(Scratch.at(scratch.path.with_name("trial.git"), scratch.source)) as trial:
        commits = trial.write(base, composed.commits)
        decided = decide(given.trailers, given.tagged, repo, commits, trial, given.threshold)
    there = {(commit.id, tag.trailer) for commit in commits for tag in decided.kept.get(commit.id, ())}
    dropped = dict.fromkeys(d for d in (*given.dropped, *decided.dropped) if (d.patch, d.trailer) not in there)
    return replace(decided, dropped=tuple(dropped))


def dressed(composed: Composed, decided: Decided) -> tuple[NewCommit, ...]:
    """Return the commits with their tags in the messages."""
    return tuple(replace(c, message=apply_to_message(c.message, decided.kept.get(c.id, ()))) for c in composed.commits)


def site_changes(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    """Return the sites that are new or gone, and those whose fate changed, each with fate, file and line."""
    return {
        "new_sites": [site_row(s, new[s]) for s in sorted(set(new) - set(old))],
        "gone_sites": [site_row(s, old[s]) for s in sorted(set(old) - set(new))],
        "changed_sites": [
            {**site_row(s, new[s]), "was": old[s][0]} for s in sorted(set(old) & set(new)) if old[s][0] != new[s][0]
        ],
    }


def site_lines(changes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the `site_changes` for a person, one line each."""
    for kind in ("new", "gone", "changed"):
        for row in changes[f"{kind}_sites"]:
            place = row["file"] + (f":{row['line']}" if row["line"] else "")
            was = f" (was {row['was']})" if "was" in row else ""
            yield f"{kind} site: {place}: {row['site']}: {row['fate']}{was}"


def site_row(site: str, value: Sequence[str]) -> dict[str, Any]:
    """Return a site as JSON-able data; `value` is (fate, file:line)."""
    file, _, line = value[1].rpartition(":")
    known = line.isdigit()
    return {
        "site": site,
        "fate": value[0],
        "file": file if known else value[1],
        "line": int(line) if known else None,
    }
