"""Leave a posting on a branch that b4 manages, and see what a person did there with b4 since.

b4/<campaign>-<tree> holds the commits of the posting and b4's cover. refs/patchbot/<campaign>/b4/<tree> is a commit on
top of it, and of what patchbot wrote, whose tree holds b4.json: so what a person changed is known.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ..draft.trailers import GENERATED, identify, take_apart
from ..errors import UserError
from ..git.commits import Written, new_entries, read_commit, read_line
from ..git.fastimport import NewCommit, person
from ..git.held import refuse_held
from ..git.repo import Repo, Scratch
from ..git.transaction import publish
from ..model import REGULAR, Entry, Identity
from ..shapes import Sha, ShapeError, plain, read
from ..terminal import some
from .tracking import MARKER, Tracked, read_message, read_table, read_tracked

FILE = "b4.json"
#: The files beside it that hold what the description of a branch is to be.
TEXTS = ("cover", "tracking")
STRATEGIES = ("commit", "tip-commit", "branch-description")
#: Seconds. b4 finds no cover commit that is older than a year.
FRESH = 180 * 86400


@dataclass(frozen=True)
class Left:
    """What patchbot left on a branch of b4: the commit below, the id of each patch, and the series as b4 has it.

    `mark` was the tip then, `stamp` the digest of what the description of the branch was to be. The letter in `tracked`
    is the one that patchbot knows; the rest is its own.
    """

    below: Sha
    mark: Sha
    ids: tuple[str, ...]
    tracked: Tracked
    stamp: str = ""


@dataclass(frozen=True)
class Found:
    """A branch of b4 as it is now: its patches, the series as b4 has it, {id: tags that its patch gained}.

    `record` is patchbot's, about what the branch was at `seen`, with the patches `before`. `pending`: the description
    of the branch was not set. `signed` says that a person added a Signed-off-by.
    """

    tip: str
    left: Left
    record: str
    seen: str
    before: tuple[Written, ...]
    patches: tuple[Written, ...]
    tracked: Tracked
    tags: Mapping[str, Sequence[str]]
    pending: bool = False
    signed: bool = False


def b4_ref(campaign: str, name: str) -> str:
    """Return the branch of a posting that b4 manages; b4 mixes up the settings of branches whose names have a dot."""
    return f"refs/heads/b4/{campaign}-{name.replace('.', '-')}"


def left_ref(campaign: str, name: str) -> str:
    """Return the ref of what patchbot left on the branch of a posting."""
    return f"refs/patchbot/{campaign}/b4/{name}"


def left_names(repo: Repo, campaign: str) -> list[str]:
    """Return the postings of which patchbot left a branch for b4."""
    start = left_ref(campaign, "")
    return sorted(ref.removeprefix(start) for ref in repo.refs(start[:-1]))


def strategy_of(repo: Repo, ref: str) -> str:
    """Return where b4 keeps the cover of a branch, by the person's configuration; raise UserError for other words."""
    key = f"branch.{short(ref)}.b4-prep-cover-strategy"
    given = repo.config(key)
    key = key if given else "b4.prep-cover-strategy"
    given = given or repo.config(key) or STRATEGIES[0]
    if given not in STRATEGIES:
        raise UserError(
            f"{key} in your git configuration is {given!r}, which b4 does not have: {', '.join(STRATEGIES)}"
        )
    return given


def short(ref: str) -> str:
    """Return the name of a branch."""
    return ref.removeprefix("refs/heads/")


def read_found(repo: Repo, campaign: str, name: str) -> Found | None:
    """Return the branch of a posting as it is now, None if patchbot left none, or it was deleted.

    Raises UserError for commits by hand, and for a cover that cannot be read.
    """
    ref, kept = b4_ref(campaign, name), left_ref(campaign, name)
    record, tip = repo.ref(kept), repo.ref(ref)
    if record is None or tip is None:
        return None
    try:
        left, seen = read(repo.read(record, FILE) or b"", Left), repo.parent(record) or ""
    except ShapeError as error:
        raise UserError(f"{kept} cannot be read: {FILE}: {error}; delete it with: git update-ref -d {kept}") from error
    first, before = (
        [commit for commit in read_line(repo, left.below, at) if MARKER not in commit.message]
        for at in (left.mark, seen)
    )
    now = read_branch(repo, ref, left, seen)
    patches = tuple(commit for commit in now if MARKER not in commit.message)
    covers = [commit for commit in now if MARKER in commit.message]
    signed = any(signs(row) for pair in zip(first, patches, strict=False) for row in gain(*pair) or ())
    wrong = [new for old, new in zip(before, patches, strict=False) if gain(old, new) is None]
    wrong += [*patches[len(before) :], *covers[1:]]
    if wrong or len(patches) < len(before):
        listing = [f"\n  {commit.sha[:12]} {commit.subject}" for commit in wrong]
        listing += ["\n  some of its patches are gone"] if len(patches) < len(before) else []
        raise UserError(
            f"{short(ref)} was changed by hand, which patchbot takes from patchbot/{campaign} only:"
            f"{''.join(some(listing))}\n{way_out(campaign, ref)}"
        )
    tracked, pending = read_series(repo, ref, record, left, covers)
    if (mine := tracked.series["change-id"]) != left.tracked.series["change-id"]:
        raise UserError(f"{short(ref)} has become another series, {mine!r}\n{way_out(campaign, ref)}")
    tags = gained(left.ids, before, patches)
    return Found(tip, left, record, seen, tuple(before), patches, tracked, tags, pending, signed)


def read_branch(repo: Repo, ref: str, left: Left, seen: str) -> list[Written]:
    """Return the commits of a branch; raise UserError if it is on another commit than patchbot left it on.

    It was at `seen` when patchbot last looked.
    """
    why = f"is not on {left.below[:12]} any more, and patchbot moves a series with regenerate --onto"
    with suppress(UserError):
        found = read_line(repo, left.below, repo.ref(ref) or "")
        headed = MARKER in read_line(repo, left.below, left.mark)[0].message
        if found and (MARKER in found[0].message or not headed):
            return found
        if not any(MARKER in commit.message for commit in found):
            why = "does not have b4's cover letter any more" if found else "holds no patches any more"
    raise UserError(
        f"{short(ref)} {why}; put it back with: git branch -f {short(ref)} {seen[:12]}\nor keep it under another name:"
        f" git branch -m {short(ref)} <other name>"
    )


def way_out(campaign: str, ref: str) -> str:
    """Return what to do about a branch that patchbot cannot take back."""
    return (
        f"put such commits on patchbot/{campaign} with git cherry-pick, and keep this branch under another name:"
        f" git branch -m {short(ref)} <other name>"
    )


def read_series(repo: Repo, ref: str, record: str, left: Left, covers: Sequence[Written]) -> tuple[Tracked, bool]:
    """Return the series as b4 has it, and whether a person still has to set the branch's description.

    Until then it is what patchbot would have them set.
    """
    key = f"branch.{short(ref)}"
    try:
        if covers:
            return read_message(covers[0].message, f"{short(ref)}: the cover letter"), False
        cover, said = repo.config(f"{key}.description") or "", repo.config(f"{key}.b4-tracking")
        pending = said is None or read_table(said).get("patchbot") != left.stamp
        if pending:
            cover, said = ((repo.read(record, name) or b"").decode("utf-8", "surrogateescape") for name in TEXTS)
        tracked = read_tracked(cover, said or "", f"{key}.description")
    except ShapeError as error:
        raise UserError(f"{short(ref)}: b4's tracking cannot be read: {error}") from error
    return replace(tracked, series={k: v for k, v in tracked.series.items() if k != "patchbot"}), pending


def gain(old: Written, new: Written) -> list[str] | None:
    """Return the trailers that a commit gained, None if anything else is different."""
    (text, rows, below), (now, lines, under) = take_apart(old.message), take_apart(new.message)
    had, have = {identify(row) for row in rows}, {identify(line) for line in lines}
    gained = [line for line in lines if identify(line) not in had]
    same = (old.tree, old.author, text.strip(), below.strip()) == (new.tree, new.author, now.strip(), under.strip())
    return gained if same and had <= have and not any("\n" in line for line in gained) else None


def gained(ids: Sequence[str], old: Sequence[Written], new: Sequence[Written]) -> dict[str, list[str]]:
    """Return {id: the tags that a patch gained} of two states of a branch, without sign-offs."""
    rows = ((id_, gain(*pair) or ()) for id_, *pair in zip(ids, old, new, strict=False))
    tags = {id_: [line for line in lines if not signs(line)] for id_, lines in rows}
    return {id_: lines for id_, lines in tags.items() if lines}


def signs(row: str) -> bool:
    """Say whether a trailer is a sign-off, or something else that git itself writes."""
    return row.startswith(GENERATED)


def unlike(sent: Sequence[Written], now: Sequence[Written]) -> str:
    """Return the first patch of two series that differs, "" if none does; sign-offs do not count."""
    for one, other in zip(sent, now, strict=False):
        parts = [take_apart(commit.message) for commit in (one, other)]
        texts = [(text.strip(), sorted(identify(row) for row in rows if not signs(row))) for text, rows, _ in parts]
        if one.tree != other.tree or texts[0] != texts[1]:
            return one.subject
    return "" if len(sent) == len(now) else f"{len(sent)} patches were sent and the draft has {len(now)}"


def write_branch(
    repo: Repo,
    scratch: Scratch,
    refs: tuple[str, str],
    who: Identity,
    left: Left,
    tracked: Tracked,
    patches: Sequence[Written],
    base: str,
    found: Found | None,
) -> tuple[str, bool]:
    """Leave a series on its branch, and return the tip and whether the branch moved.

    `refs` are the branch and patchbot's record; `tracked` is what b4 is to have, with what a person changed there.
    Raises UserError if the branch is not patchbot's, or in use.
    """
    ref, kept = refs
    now, record = repo.ref(ref), repo.ref(kept)
    if now and record is None:
        raise UserError(f"{short(ref)} is not patchbot's; rename it: git branch -m {short(ref)} <other name>")
    strategy = strategy_of(repo, ref)
    date = f"{int(time.time())} +0000"
    files = new_entries(repo, [commit.sha for commit in patches])
    rows = [NewCommit(c.sha, c.message, c.author, date, files[c.sha], who, c.date) for c in patches]
    if strategy != STRATEGIES[2]:
        at = 0 if strategy == STRATEGIES[0] else len(rows)
        rows.insert(at, NewCommit("", tracked.message, who, date, {}, who))
    tip, moved = now or "", False
    if found is None or found.left.below != left.below or not same(repo, found, rows):
        moved = True
        refuse_held(repo, [ref])
        tip = scratch.write(left.below, rows)[-1].sha
    mark = tip if moved or found is None else found.left.mark
    texts = {}
    if strategy == STRATEGIES[2]:
        stamp = hashlib.sha256(f"{mark} {tracked.message}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
        table = json.dumps({"series": {**tracked.series, "patchbot": stamp}})
        said = (text.encode("utf-8", "surrogateescape") for text in (tracked.cover, table))
        texts, left = dict(zip(TEXTS, said, strict=True)), replace(left, stamp=stamp)
    left = replace(left, mark=mark)
    updates = [(kept, write_left(repo, scratch, who, tip, left, texts), record)]
    publish(repo, scratch, [*updates, *([(ref, tip, now)] if moved else [])], base)
    return tip, moved


def write_left(repo: Repo, scratch: Scratch, who: Identity, tip: str, left: Left, texts: Mapping[str, bytes]) -> str:
    """Write what patchbot left on a branch that is at `tip` to `scratch`, and return its id."""
    text = json.dumps(plain(left), indent=1, sort_keys=True).encode() + b"\n"
    files = {name: Entry(REGULAR, content) for name, content in texts.items()}
    date = " ".join(map(str, (repo if repo.has(tip) else scratch).committer_date(tip)))
    message = f"patchbot: what was left for b4 on {left.mark[:12]}\n"
    also = (left.mark,) if left.mark != tip else ()
    made = NewCommit("", message, who, date, {FILE: Entry(REGULAR, text), **files}, alone=True, also=also)
    (written,) = scratch.write(tip, [made])
    return written.sha


def same(repo: Repo, found: Found, rows: Sequence[NewCommit]) -> bool:
    """Say whether a branch holds these commits already, and b4 would still find its cover."""
    now = read_line(repo, found.left.below, found.tip)
    trees = {sha: read_commit(repo, sha).tree for row in rows if (sha := row.id)}
    wanted = list(contents(rows, trees))
    have = [(c.message, c.author, c.date if MARKER not in c.message else "", tree_of(c)) for c in now]
    if wanted != have:
        return False
    heads = [repo.raw(commit.sha).partition(b"\n\n")[0] for commit in now]
    ours = f"\ncommitter {person(rows[0].committer or rows[0].author)} ".encode("utf-8", "surrogateescape")
    return all(ours in head for head in heads) and repo.committer_date(found.tip)[0] > time.time() - FRESH


def tree_of(commit: Written) -> str:
    """Return the tree of a patch, "" of a cover, which changes nothing."""
    return "" if MARKER in commit.message else commit.tree


def contents(rows: Sequence[NewCommit], trees: Mapping[str, str]) -> Iterator[tuple[str, Identity, str, str]]:
    """Yield (message, author, the author's date, tree) of new commits, as `same` compares them."""
    for row in rows:
        yield row.message, row.author, row.author_date if row.id else "", trees.get(row.id, "")
