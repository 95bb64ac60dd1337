"""Say what was posted before a series: its own earlier versions, and the series whose patches it needs."""

from __future__ import annotations

from dataclasses import dataclass

from ..git.repo import Repo
from ..series.render import listing
from .changeids import home, new_change_id
from .lines import posted_names, posting_versions
from .postings import PostingRow
from .record import Document, Draft, PatchRow


@dataclass(frozen=True)
class Series:
    """A series that was posted, or will be: its posting, tree and version (0: none yet), how others find it.

    `there` says that the base of those who need it has it; else they need `patches` of it.
    """

    name: str
    target: str
    version: int = 0
    message_id: str = ""
    change_id: str = ""
    there: bool = False
    patches: int = 0

    @property
    def link(self) -> str:
        """Return the address of its cover letter, "" if that is unknown."""
        return link_to(self.message_id)

    def facts(self) -> dict[str, object]:
        """Return it for a template."""
        return {**vars(self), "link": self.link}


@dataclass(frozen=True)
class Away:
    """A posting of which patches are in others now, `into`; `there` says that the draft still has one of this name."""

    name: str
    target: str
    version: int
    message_id: str
    patches: int
    sites: int
    into: tuple[str, ...]
    there: bool

    def __str__(self) -> str:
        """Return it in words."""
        known = f" ({self.message_id})" if self.message_id else ""
        some = "some of it is" if self.there else "its patches are"
        return f"posted as v{self.version}{known}; {some} " + (
            f"now in {listing(self.into)}" if self.into else "no longer in the draft"
        )


def link_to(message_id: str) -> str:
    """Return the address of a mail in the archive of the kernel's lists."""
    return f"https://lore.kernel.org/all/{message_id}/" if message_id else ""


def earlier(repo: Repo, draft: Draft, name: str, before: int) -> list[Series]:
    """Return the versions of a posting that came before number `before`, the newest first."""
    frozen = posting_versions(repo, draft.campaign, name)
    found = [
        Series(name, version.document.target, number, version.document.message_id or "")
        for number, version in frozen.items()
        if number < before
    ]
    return found[::-1]


def gone_elsewhere(repo: Repo, document: Document) -> list[Away]:
    """Return the posted postings whose patches, or sites, the draft has in others: the configuration changed since."""
    rows = {row.name: {patch.id for patch in row.patches} for row in document.postings or ()}
    rows = rows or {home(document): {patch.id for patch in document.patches}}
    places: dict[str, dict[object, set[str]]] = {}
    for name, ids in rows.items():
        for patch in (patch for patch in document.patches if patch.id in ids):
            for mark in marks(patch):
                places.setdefault(patch.step, {}).setdefault(mark, set()).add(name)
    found = []
    for name in {*posted_names(repo, document.campaign), home(document)} - {row.name for row in document.done or ()}:
        if not (frozen := posting_versions(repo, document.campaign, name)):
            continue
        number, last = next(reversed(frozen.items()))
        into: set[str] = set()
        for patch in last.patches:
            steps = [places[patch.step]] if patch.step in places else list(places.values())
            into |= {there for step in steps for mark in marks(patch) for there in step.get(mark, ())}
        if name not in rows or into - {name}:
            sites = len({site for patch in last.patches for site in patch.sites})
            about = (name, last.document.target, number, last.document.message_id or "", len(last.patches), sites)
            found.append(Away(*about, tuple(sorted(into - {name})), name in rows))
    return sorted(found, key=lambda away: away.name)


def marks(patch: PatchRow) -> tuple[object, ...]:
    """Return what tells where the content of a patch is now: its sites, else its files."""
    return patch.sites or tuple((path,) for path in patch.files)


def needed_series(repo: Repo, draft: Draft, row: PostingRow) -> list[Series]:
    """Return the series without which the patches of a posting do not apply or compile.

    They are those with what all share, or with patches of the same files, that are below its patches, and the posted
    ones with what all share whose patches its base has by now.
    """
    document = draft.document
    own = [document.row(patch.id) for patch in row.patches]
    if all(patch is None or patch.step in document.independent for patch in own):
        return []
    names, below = posted_names(repo, draft.campaign), ids_below(document, row)
    rows = {other.name: other for other in document.postings or ()}
    found = []
    for name in sorted({home(document), *names, *rows} - {row.name}):
        most = len(below.intersection(patch.id for patch in rows[name].patches)) if name in rows else 0
        now, leading = most > 0, name in rows and leads(document, rows[name])
        frozen = posting_versions(repo, draft.campaign, name)
        had = [
            number
            for number, version in frozen.items()
            if (now and not leading) or shared(version.document, version.patches)
        ]
        if now or had:
            last = had[-1] if had else 0
            target = rows[name].target if now else frozen[last].document.target
            message_id = (frozen[last].document.message_id or "") if had else ""
            found.append(Series(name, target, last, message_id, change_id(repo, draft, name), not now, most))
    return found


def ids_below(document: Document, row: PostingRow) -> set[str]:
    """Return the patches that those of a posting need: what all share, and earlier ones of the same files."""
    own = {patch.id for patch in row.patches}
    files: set[str] = set()
    found: set[str] = set()
    waits = False
    for patch in reversed(document.patches):
        waits |= patch.id in own and patch.step not in document.independent
        if patch.id in own or (waits and patch.step in document.shared) or not files.isdisjoint(patch.files):
            files.update(patch.files)
            found.add(patch.id)
    return found - own


def leads(document: Document, row: PostingRow) -> bool:
    """Say whether a posting has patches that those for other trees need."""
    ids = {patch.id for patch in row.patches}
    return shared(document, [patch for patch in document.patches if patch.id in ids])


def shared(document: Document, patches: list[PatchRow] | tuple[PatchRow, ...]) -> bool:
    """Say whether one of some patches is of a step that all trees share."""
    return any(patch.step in document.shared for patch in patches)


def waiting_for(draft: Draft, row: PostingRow) -> list[tuple[str, tuple[str, ...]]]:
    """Return (tree, subjects) of the patches in other postings that wait for those of a posting."""
    document = draft.document
    if not leads(document, row):
        return []
    found: dict[str, list[str]] = {}
    for other in document.postings or ():
        for patch in other.patches if other.needs and other is not row else ():
            known = document.row(patch.id)
            if known and known.step not in document.independent:
                found.setdefault(other.target, []).append(known.subject)
    return [(target, tuple(subjects)) for target, subjects in found.items()]


def change_id(repo: Repo, draft: Draft, name: str) -> str:
    """Return what names a posting in all its versions, as b4's change-id does: the posted one, else the draft's."""
    for version in reversed(posting_versions(repo, draft.campaign, name).values()):
        if known := (version.document.change_ids or {}).get(name):
            return known
    return (draft.document.change_ids or {}).get(name) or new_change_id(repo, draft.document, name)
