"""Keep the tags that people gave, with their proof: put them into messages, keep or drop them on a new base.

The kernel allows Reviewed-by and the like only with the person's permission, so each one carries the message-id of the
mail that gave it and a digest of the diff that it was given for. A tag is never written or completed here: it is the
line that its giver sent, but for the kernel's spelling of its name, or it is absent.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from .. import shapes
from ..git.diffs import diff_of
from ..git.repo import Repo, Scratch
from ..model import Commit
from ..shapes import ShapeError
from .matching import lost

FILE = "trailers.json"

#: The order that Documentation/process/maintainer-tip.rst asks for; any other trailer stands with the sign-offs.
ORDER = (
    ("fixes",),
    ("reported-by", "closes"),
    ("originally-by",),
    ("suggested-by",),
    ("co-developed-by", "signed-off-by"),
    ("tested-by",),
    ("reviewed-by",),
    ("acked-by",),
    ("cc",),
    ("link",),
)
#: How the kernel spells the names of its tags.
NAMES = (
    *("Fixes", "Reported-by", "Closes", "Originally-by", "Suggested-by", "Co-developed-by", "Signed-off-by"),
    *("Tested-by", "Reviewed-by", "Acked-by", "Assisted-by", "Cc", "Link"),
)
SPELLED = {name.lower(): name for name in NAMES}
RANK = {name: number for number, names in enumerate(ORDER) for name in names}
TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
ADDRESS = re.compile(r"<([^<>]*)>")
#: Tags that say that a person looked at this very patch, and so must not outlive a change of it.
JUDGEMENTS = re.compile(r"(?:Reviewed|Acked|Tested)-by[ \t]*:[ \t]*\S.*", re.I)
GENERATED = ("Signed-off-by: ", "(cherry picked from commit ")
#: Anybody can post a diff that takes hours to compare (difflib is cubic if lines repeat): with more pairs of differing
#: lines than this, their order is ignored.
MOST_COMPARED = 160_000


@dataclass(frozen=True)
class Given:
    """A tag and its proof: the mail that gave it, for which version, and the digest of the diff that it holds for."""

    trailer: str
    message_id: str
    version: int
    patch_id: str
    sender: str = ""


#: {stable id of a patch: the tags it was given}.
Trailers = Mapping[str, Sequence[Given]]


@dataclass(frozen=True)
class Dropped:
    """A tag that is not kept, and why."""

    patch: str
    trailer: str
    reason: str


@dataclass(frozen=True)
class Decided:
    """The tags that still hold for the new patches, or wait for theirs, and those that do not."""

    kept: Trailers
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether a tag holds for a newer patch, and why."""

    kept: bool
    reason: str


def read_trailers(repo: Repo, record: str) -> dict[str, tuple[Given, ...]]:
    """Return the tags in a record (any revision whose tree holds trailers.json), {} if it has none.

    Raises ShapeError if they cannot be read.
    """
    data = repo.read(record, FILE)
    if data is None:
        return {}
    try:
        known = shapes.read(data.decode("utf-8", "surrogateescape"), dict[str, tuple[Given, ...]])
    except ShapeError as error:
        raise ShapeError(f"{FILE}: {error}") from error
    for line in (given.trailer for rows in known.values() for given in rows):
        if "\n" in line or not is_trailer(line) or line.startswith(GENERATED):
            raise ShapeError(f"{FILE}: {line[:80]!r} is not a tag")
    return known


def format_trailers(trailers: Trailers) -> bytes:
    """Return trailers.json."""
    rows = {patch: [asdict(row) for row in given] for patch, given in trailers.items() if given}
    return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def merge(old: Trailers, new: Trailers) -> dict[str, tuple[Given, ...]]:
    """Return the tags of both, each person's tag of one kind once a patch.

    The earlier proof stays, unless the same tag was given again for a newer diff.
    """
    out: dict[str, tuple[Given, ...]] = {}
    for patch in sorted({*old, *new}):
        rows: dict[tuple[str, str], Given] = {}
        for given in (*old.get(patch, ()), *new.get(patch, ())):
            first = rows.setdefault(identify(given.trailer), given)
            newer = given.version >= first.version and given.patch_id != first.patch_id
            if newer and given.trailer == first.trailer and given.message_id:
                rows[identify(given.trailer)] = given
        if rows:
            out[patch] = tuple(rows.values())
    return out


def identify(trailer: str) -> tuple[str, str]:
    """Return what identifies a trailer: its kind and address (or its value, if there is none), in lower case."""
    match = TRAILER.fullmatch(trailer)
    if match is None:
        return "", trailer
    address = ADDRESS.search(match[2])
    value = address[1] if address else " ".join(match[2].split())
    return match[1].lower(), value.strip().lower()


def canonical(trailer: str) -> str:
    """Return a trailer with its name as the kernel spells it, `Acked-by: ` for `acked-By :`; others as they are."""
    match = TRAILER.fullmatch(trailer)
    name = SPELLED.get(match[1].lower()) if match else None
    return f"{name}: {match[2]}" if match and name else trailer


def apply_to_message(message: str, trailers: Iterable[str | Given]) -> str:
    """Return a commit message with `trailers` added to its trailer block; existing ones are not changed.

    Nothing is added twice (see `identify`). New trailers go where ORDER puts them, in the order given.
    """
    text, rows, below = take_apart(message)
    present = {identify(row) for row in rows}
    ranks = [rank(row) for row in rows]
    added = False
    for item in trailers:
        trailer = item.trailer if isinstance(item, Given) else item
        if "\n" in trailer or not is_trailer(trailer):
            raise ValueError(f"{trailer!r} is not a trailer")
        if identify(trailer) in present:
            continue
        present.add(identify(trailer))
        own = rank(trailer)
        place = next((n for n in range(len(ranks), 0, -1) if ranks[n - 1] <= own), 0)
        rows.insert(place, trailer)
        ranks.insert(place, own)
        added = True
    if not added:
        return message
    return put_together(text, rows, below)


def remove_from_message(message: str, trailers: Iterable[str]) -> str:
    """Return a commit message without these trailers in its trailer block."""
    text, rows, below = take_apart(message)
    gone = set(trailers)
    kept = [row for row in rows if row not in gone]
    return message if kept == rows else put_together(text, kept, below)


def divide(message: str) -> tuple[str, str]:
    """Return a commit message up to its `---` line, and from that line on ("" if there is none)."""
    match = re.search(r"^---(?:\s|\Z)", message, re.MULTILINE)
    return (message[: match.start()], message[match.start() :]) if match else (message, "")


def take_apart(message: str) -> tuple[str, list[str], str]:
    """Return a commit message as (text before the trailer block, rows of the block, `---` and what is below it).

    A row is a trailer with its continuation lines, or any other line. The rule is git's: the block is the last
    paragraph after the subject, if all its lines are trailers, or if git made one of them and they are a quarter of it.
    """
    whole, below = divide(message)
    text = whole.rstrip()
    head, gap, last = re.sub(r"\n[ \t]+(?=\n)", "\n", text).rpartition("\n\n")
    if not gap or not head.strip():
        return text + "\n", [], below
    rows: list[str] = []
    for line in last.split("\n"):
        if rows and line[:1] in " \t" and line.strip():
            rows[-1] += "\n" + line
        else:
            rows.append(line)
    trailers = sum(1 for row in rows if is_trailer(row))
    others = sum(row.count("\n") + 1 for row in rows if not is_trailer(row) and not row.startswith("#"))
    made_by_git = any(row.startswith(GENERATED) for row in rows)
    if trailers and (not others or (made_by_git and trailers * 3 >= others)):
        return head + "\n", rows, below
    return text + "\n", [], below


def put_together(text: str, rows: Sequence[str], below: str) -> str:
    """Return the commit message with these parts: the reverse of `take_apart`."""
    return text.rstrip("\n") + "\n" + ("\n" + "\n".join(rows) + "\n" if rows else "") + below


def is_trailer(row: str) -> bool:
    """Say whether a line is a trailer to git."""
    return row.startswith(GENERATED) or (TRAILER.fullmatch(row) is not None)


def rank(row: str) -> int:
    """Return a trailer's place in ORDER."""
    match = TRAILER.fullmatch(row)
    return RANK.get(match[1].lower() if match else "", RANK["signed-off-by"])


def diff_id(lines: Sequence[bytes]) -> str:
    """Return the digest of a diff, the same wherever the patch applies; "" for no diff."""
    return hashlib.sha256(b"\n".join(lines)).hexdigest() if lines else ""


def measure(old: Sequence[bytes], new: Sequence[bytes]) -> float:
    """Return how much two diffs differ, in percent: 0 if they are the same, 100 if they have nothing in common."""
    total = len(old) + len(new)
    if not total:
        return 0.0
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    old, new = old[first:], new[first:]
    last = next((n for n, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b), None)
    last = min(len(old), len(new)) if last is None else last
    old, new = old[: len(old) - last], new[: len(new) - last]
    if not old and not new:
        return 0.0
    if len(old) * len(new) > MOST_COMPARED:
        common = sum((Counter(old) & Counter(new)).values())
        return max(100.0 * (total - 2 * (first + last + common)) / total, 0.1)
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return 100.0 * (total - 2 * (first + last + sum(b.size for b in blocks))) / total


def survives(old_id: str, new_id: str, cost: float | None, threshold: float = 0.0) -> Verdict:
    """Say whether a tag for the diff `old_id` holds for `new_id`.

    `cost` is the `measure` of the two, None if the old one no longer exists; up to the cost `threshold` a person wants
    to keep tags: 0 keeps them only on the same diff.
    """
    if old_id and old_id == new_id:
        return Verdict(True, "the same diff")
    if cost is None:
        return Verdict(False, "it was given for another diff")
    if cost <= threshold:
        return Verdict(True, f"{cost:.1f} % of the diff changed, and up to {threshold:g} % were allowed")
    allowed = f"more than the {threshold:g} % allowed" if threshold else "and none may change"
    return Verdict(False, f"{cost:.1f} % of the diff changed, {allowed}")


def percentage(text: str) -> float:
    """Return how much of a diff may change before its tags are dropped; raise ValueError unless it is a percentage."""
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(text)
    return value


def without_tags(message: str, known: Sequence[Given]) -> tuple[str, list[str]]:
    """Return a message without the tags `known`, judgements and notes on dropped tags, and the tags taken out."""
    text, rows, below = take_apart(message)
    lines = [given.trailer for given in known]
    taken = [row for row in rows if row in lines or JUDGEMENTS.fullmatch(row)]
    notes = [line for line in below.split("\n") if line.startswith("Dropped: ")]
    if not taken and not notes:
        return message, []
    kept = [row for row in rows if row not in taken]
    rest = "\n".join(line for line in below.split("\n") if line not in notes)
    rest = "" if rest.strip() == "---" else rest
    return put_together(text, kept, rest), taken


def decide(
    tags: Trailers, old: Mapping[str, str], repo: Repo, new: Sequence[Commit], scratch: Scratch, threshold: float
) -> Decided:
    """Say which tags hold: `old` is {stable id: the commit that was tagged}, `new` are the commits of the branch.

    The tags of a patch that is not there wait for it: `owners` and the like may change back.
    """
    kept: dict[str, tuple[Given, ...]] = {}
    dropped: list[Dropped] = []
    commits = {c.id: c for c in new}
    unseen = lost(repo, list(old.values()))
    for id_, given in sorted(tags.items()):
        if id_ not in commits:
            kept[id_] = tuple(given)
            dropped += [Dropped(id_, g.trailer, "the patch is gone") for g in given if id_ in old]
            continue
        lines = diff_of(scratch, commits[id_].parent, commits[id_].sha)
        before = diff_of(repo, f"{old[id_]}^", old[id_]) if id_ in old and old[id_] not in unseen else None
        rows = []
        for tag in given:
            own = before if tag.patch_id in (diff_id(before or ()), "") else None
            cost = None if own is None else measure(own, lines)
            verdict = survives(diff_id(own) if own else tag.patch_id, diff_id(lines), cost, threshold)
            if verdict.kept:
                rows.append(tag)
            else:
                dropped.append(Dropped(id_, tag.trailer, verdict.reason))
        kept[id_] = tuple(rows)
    return Decided({i: rows for i, rows in kept.items() if rows}, tuple(dropped))
