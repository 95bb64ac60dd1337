"""Show the range-diff of two versions, or with the draft."""

from __future__ import annotations

import argparse
import re

from ..draft.lines import posting_versions
from ..draft.rangediff import Side, compare, render, side
from ..draft.rebased import refuse_rebased
from ..draft.recognise import recognise
from ..draft.record import branch, need_draft, read_draft
from ..draft.versions import named, previous
from ..errors import UserError
from ..git.diffs import range_diff
from ..progress import shown
from .session import Session
from .subject import add_tree, select

EXAMPLES = (
    "patchbot diff                # the last version and the draft",
    "patchbot diff v1 v2",
    "patchbot diff --tree net-next",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "what goes to this tree, and its own versions")
    parser.add_argument(
        "what",
        nargs="*",
        metavar="CAMPAIGN|vN|draft",
        help="the campaign, then one or two versions (default: the last version and the draft)",
    )


def execute(session: Session, *, tree: str | None, what: list[str]) -> int:
    """Run the command."""
    words = list(what)
    campaign = words.pop(0) if words and not is_version(words[0]) else None
    if len(words) > 2 or not all(is_version(w) for w in words):
        raise UserError(f"diff takes [CAMPAIGN] [vA [vB]], not {' '.join(what)!r}")
    name = session.config.campaign(campaign).name
    old, new = sides(session, name, words) if tree is None else sides_of_posting(session, name, words, tree)
    with shown(session.err):
        pairs = compare(session.scratch, old, new)
    if session.args.json:
        rows = [
            {
                "id": p.key,
                "state": p.state,
                "changed": list(p.what),
                "old": p.old,
                "new": p.new,
                "subject": p.subject,
                "range_diff": range_diff(session.scratch, p.old, p.new)
                if p.state == "changed" and p.old and p.new
                else "",
            }
            for p in pairs
        ]
        session.emit({"campaign": name, "tree": tree, "from": old.name, "to": new.name, "patches": rows})
        return 0
    session.out.diff(render(session.scratch, pairs))
    return 0


def is_version(word: str) -> bool:
    """Say whether a word names a version."""
    return word == "draft" or re.fullmatch(r"v[1-9]\d*", word) is not None


def sides(session: Session, name: str, words: list[str]) -> tuple[Side, Side]:
    """Return the two versions to compare; the draft is its branch as it is now."""
    new = named(session.repo, name, words[1]) if len(words) > 1 and words[1] != "draft" else current(session, name)
    if words:
        return (current(session, name) if words[0] == "draft" else named(session.repo, name, words[0])), new
    before = previous(session.repo, name, session.repo.ref(branch(name)) or "")
    if before is None:
        draft = need_draft(session.repo, name)
        if draft.document.version is not None:
            raise UserError(
                f"the draft of {name} is v{draft.document.version} itself, and there is no version to compare it with"
            )
        raise UserError(f"{name} has no version before the draft; make one with: patchbot freeze {name}")
    return named(session.repo, name, before.name), new


def sides_of_posting(session: Session, name: str, words: list[str], tree: str) -> tuple[Side, Side]:
    """Return the two versions of a posting to compare."""
    series = select(session, name, tree)
    assert series.draft is not None
    assert series.posting is not None
    place = f"{name} --tree {series.posting.name}"
    frozen = posting_versions(session.repo, name, series.posting.name)
    known = {**{f"v{number}": draft for number, draft in frozen.items()}, "draft": series.draft}
    last = [word for word, draft in known.items() if draft.tip != series.tip]
    if not words and not last:
        raise UserError(f"{place} has no version before the draft; make one with: patchbot freeze {place}")
    for word in words:
        if word not in known:
            raise UserError(f"{place} has no version {word}; there are: {', '.join(known)}")
    pair = [*(words or last[-1:]), "draft"][:2]
    old, new = (side(word, known[word].document, known[word].trailers) for word in pair)
    return old, new


def current(session: Session, name: str) -> Side:
    """Return the draft, with what a person has committed on it since."""
    draft = read_draft(session.repo, name)
    tip = session.repo.ref(branch(name))
    if draft is None or tip is None or tip == draft.tip:
        return named(session.repo, name, "draft")
    refuse_rebased(session.repo, draft, tip, session.upstream)
    seen = recognise(session.repo, draft, tip)
    commits = session.repo.commits(draft.base, tip)
    return side("draft", seen.document(draft, commits, seen.known(session.repo, draft, commits)), seen.tags)
