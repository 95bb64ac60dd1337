"""Keep the versions of a series: a posted draft is frozen as refs/patchbot/<campaign>/vN and never changes again.

A version keeps what is needed to say later what is new since: the branch, its base, the configuration, the version of
patchbot, the results of the checks, the mail's Message-ID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import UserError
from ..git.repo import Repo, Scratch
from ..model import Identity
from .amendments import Handmade
from .changeids import home
from .lines import draft_of, posting_updates, posting_version_ref, posting_versions, with_postings
from .posted import earlier, link_to
from .postings import PostingRow
from .rangediff import Pair, Side, compare, side
from .recognise import recognise
from .record import Draft, Judged, branch, need_draft, read_draft, read_record, record_ref, version_refs
from .trailers import Trailers
from .undo import publish_undoable
from .write import site_changes, write_again


@dataclass(frozen=True)
class Version:
    """A frozen version; `draft` is its record."""

    number: int
    draft: Draft

    @property
    def name(self) -> str:
        """Return vN."""
        return f"v{self.number}"

    @property
    def message_id(self) -> str:
        """Return the Message-ID of its cover letter, "" if it is unknown."""
        return self.draft.document.message_id or ""


def version_ref(campaign: str, number: int) -> str:
    """Return the ref of a version."""
    return f"refs/patchbot/{campaign}/v{number}"


def versions(repo: Repo, campaign: str) -> list[Version]:
    """Return the frozen versions, oldest first."""
    return [
        Version(number, read_record(repo, sha, version_ref(campaign, number)))
        for number, sha in version_refs(repo, campaign).items()
    ]


def previous(repo: Repo, campaign: str, tip: str) -> Version | None:
    """Return the last frozen version, except one that is the branch at `tip` itself."""
    return next((v for v in reversed(versions(repo, campaign)) if v.draft.tip != tip), None)


def named(repo: Repo, campaign: str, name: str) -> Side:
    """Return a version, or the draft, by name; raise UserError that lists what exists."""
    if name == "draft":
        draft = need_draft(repo, campaign)
        return side("draft", draft.document, draft.trailers)
    found = {v.name: v for v in versions(repo, campaign)}
    if name not in found:
        there = ", ".join([*found, "draft"])
        raise UserError(f"{campaign} has no version {name}; there are: {there}")
    return side(name, found[name].draft.document, found[name].draft.trailers)


def changes_since(
    repo: Repo, scratch: Scratch, campaign: str, posting: PostingRow | None = None, now: Side | None = None
) -> dict[str, Any] | None:
    """Return what changed between the last frozen version and the draft, or of a posting of it, None without a version.

    `now` is what the branch holds, if a person changed it since.

    {"version", "message_id", "link", "base": [old, new], "rebased", "new_sites", "gone_sites", "changed_sites",
    "patches": {"same", "changed", "new", "gone": [subjects]}, "dropped_trailers": [{"patch", "subject",
    "trailer", "reason"}], "earlier": the versions before, "pairs": the patches of both}. A patch counts as changed if
    its message or its edits did, not if only the lines around it differ.
    """
    draft = read_draft(repo, campaign)
    if draft is None:
        return None
    tip = repo.ref(branch(campaign)) or draft.tip
    there = {version.number: version.draft for version in versions(repo, campaign)}
    if posting is not None:
        draft = draft_of(repo, draft, posting)
        tip, there = draft.tip, posting_versions(repo, campaign, posting.name)
    before = next((Version(n, d) for n, d in reversed(there.items()) if d.tip != tip), None)
    if before is None:
        return None
    # What is posted says the same again, whatever the draft says by now.
    says = next((d for d in there.values() if d.tip == tip), draft)
    old, new = before.draft.document, draft.document
    own = now or side("draft", new, draft.trailers)
    pairs = compare(scratch, side(before.name, old, before.draft.trailers), own)
    name = posting.name if posting else home(new)
    subjects = {p.key: p.subject for p in pairs}
    return {
        "version": before.number,
        "message_id": before.message_id,
        "link": link_to(before.message_id),
        "earlier": [one.facts() for one in earlier(repo, draft, name, before.number)],
        "pairs": pairs,
        "base": [asdict(old.kernel), asdict(new.kernel)],
        "rebased": old.base != new.base,
        **site_changes(old.sites, new.sites),
        "patches": states(pairs),
        "dropped_trailers": [
            {**asdict(d), "subject": subjects.get(d.patch, d.patch), "reason": told(d.reason)}
            for d in says.document.dropped_trailers or ()
        ],
    }


def told(reason: str) -> str:
    """Return why a tag was dropped, for a mail: percentages since a draft that nobody saw mean nothing there."""
    return "the patch changed" if "of the diff changed" in reason else reason


def states(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """Return {state: subjects}."""
    found: dict[str, list[str]] = {state: [] for state in ("same", "changed", "new", "gone")}
    for pair in pairs:
        found["same" if pair.what == ("context",) else pair.state].append(pair.subject)
    return found


def freeze(
    repo: Repo,
    scratch: Scratch,
    author: Identity,
    draft: Draft,
    number: int,
    message_id: str,
    report: Mapping[str, Any] | None,
    chosen: Mapping[str, str] | None = None,
) -> str:
    """Make the branch as it is now version `number`, and the draft's record the same; return the version's record.

    What a person committed on the branch becomes part of the record. Raises UserError if the commits and `chosen`
    ({commit: stable id, "" for none}), a person's choice, do not tell what that is.
    """
    campaign, document = draft.campaign, draft.document
    tip = repo.ref(branch(campaign)) or draft.tip
    seen = recognise(repo, draft, tip, chosen)
    if tip != draft.tip or chosen:
        commits = repo.commits(draft.base, tip)
        document = seen.document(draft, commits, seen.known(repo, draft, commits))
        document = with_postings(scratch, author, document, commits, draft.document)
    moves = posting_updates(repo, document, draft.document)
    document = replace(document, version=number, message_id=message_id)
    if report:
        document = replace(document, results=judged(report))
    record = write_again(repo, scratch, author, draft, tip, document, seen.handmade, seen.tags)
    ref = version_ref(campaign, number)
    current = repo.ref(record_ref(campaign))
    updates = [(ref, record, repo.ref(ref)), (record_ref(campaign), record, current), *moves]
    publish_undoable(repo, scratch, campaign, updates, draft.base)
    return record


def freeze_posting(
    repo: Repo,
    scratch: Scratch,
    author: Identity,
    draft: Draft,
    row: PostingRow,
    message_id: str,
    report: Mapping[str, Any] | None,
    number: int = 0,
) -> str:
    """Make a posting as it is now a version of its own, the next one or `number`; return the version's record."""
    own = draft_of(repo, draft, row)
    own = replace(own, version=number or own.version)
    document = replace(own.document, version=own.version, message_id=message_id, results=judged(report))
    record = write_again(repo, scratch, author, own, own.tip, document, Handmade(), own_tags(own))
    ref = posting_version_ref(draft.campaign, row.name, own.version)
    publish_undoable(repo, scratch, draft.campaign, [(ref, record, repo.ref(ref))], draft.base)
    return record


def own_tags(draft: Draft) -> Trailers:
    """Return the tags of the patches that a draft has."""
    return {id_: given for id_, given in draft.trailers.items() if id_ in draft.commits}


def judged(report: Mapping[str, Any] | None) -> Judged | None:
    """Return the results of the checks as a version keeps them."""
    if not report:
        return None
    return Judged(worst=report["worst"], counts=report["counts"], results=report["results"])
