"""Tell which commit is which patch: by commit id, then by the diff itself, then by git range-diff's cost.

Nothing marks a commit as patchbot's (a marker would be posted, notes get lost), so after a person amended, reordered
or rebased, the text of the diffs must tell. Where it does not do so clearly, patchbot asks and never guesses.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import UserError
from ..git.diffs import commit_diffs
from ..git.objects import Objects

#: git range-diff's creation factor: a pair must cost less than this share of writing both patches from scratch.
CREATION_FACTOR = 0.6
#: Two candidates whose costs differ by less than this share of the patch's lines are ambiguous.
AMBIGUOUS = 0.25


@dataclass(frozen=True)
class Diff:
    """The change of a commit: the lines of its diff without line numbers and blob ids."""

    lines: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """Return a digest of the whole diff, context included: what git patch-id hashes, and white space."""
        return hashlib.sha256(b"\n".join(self.lines)).hexdigest()


@dataclass(frozen=True)
class Known:
    """A patch that patchbot made: its stable id, its commit (on the branch, or as generated), its subject."""

    id: str
    sha: str
    subject: str


def diffs(objects: Objects, commits: Sequence[str]) -> dict[str, Diff]:
    """Return {commit: Diff} with one git process."""
    return {sha: Diff(normalised(text)) for sha, text in commit_diffs(objects, commits).items()}


def lost(objects: Objects, commits: Sequence[str]) -> set[str]:
    """Return those commits whose change cannot be seen, because this clone lacks them or their parents."""
    there = objects.things(name for sha in commits for name in (sha, f"{sha}^^{{tree}}"))
    return {sha for sha in commits if not there[sha] or not there[f"{sha}^^{{tree}}"]}


def normalised(text: bytes) -> tuple[bytes, ...]:
    """Return a diff's lines without what depends on its place: blob ids, line numbers, the function in @@ lines."""
    kept = (line for line in text.split(b"\n") if line and not line.startswith(b"index "))
    return tuple(b"@@" if line.startswith(b"@@ ") else line for line in kept)


def cost(one: Diff, two: Diff) -> int:
    """Return git range-diff's cost of a pair of patches: the number of lines of the diff between their diffs."""
    if one.lines == two.lines:
        return 0
    a, b = ([line.decode("latin-1") for line in diff.lines] for diff in (one, two))
    return len(list(difflib.unified_diff(a, b, lineterm="", n=3))) - 2


def match(
    known: Sequence[Known],
    found: Sequence[tuple[str, str]],
    objects: Objects,
    chosen: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return {commit: stable id} of those of `found` ([(commit, subject)]) that are patches of patchbot.

    A patch may be `known` by several commits. `chosen` ({commit: stable id, "" for none}) is a person's choice.
    Raises UserError that shows both if two are equally likely.
    """
    said = chosen or {}
    matched = same_commits(known, found, {sha: id_ for sha, id_ in said.items() if id_})
    rest = [(sha, subject) for sha, subject in found if sha not in matched and sha not in said]
    left = [k for k in known if k.id not in matched.values()]
    if not rest or not left:
        return matched
    texts = diffs(objects, list(dict.fromkeys([*(k.sha for k in left), *(sha for sha, _ in rest)])))
    matched |= same_diffs(left, rest, texts)
    rest = [(sha, subject) for sha, subject in rest if texts[sha].lines and sha not in matched]
    left = [k for k in left if k.id not in matched.values()]
    return matched | cheapest(left, rest, texts)


def same_commits(known: Sequence[Known], found: Sequence[tuple[str, str]], matched: dict[str, str]) -> dict[str, str]:
    """Return the matches so far, and the commits known as the patches that are not matched."""
    ids = {k.sha: k.id for k in known}
    for sha, _ in found:
        if sha in ids and ids[sha] not in matched.values():
            matched.setdefault(sha, ids[sha])
    return matched


def same_diffs(left: Sequence[Known], rest: Sequence[tuple[str, str]], texts: Mapping[str, Diff]) -> dict[str, str]:
    """Return {commit: id} of the commits and patches whose diff only they have."""
    ids: dict[str, set[str]] = {}
    commits: dict[str, list[str]] = {}
    for k in left:
        ids.setdefault(texts[k.sha].digest, set()).add(k.id)
    for sha in (sha for sha, _ in rest if texts[sha].lines):
        commits.setdefault(texts[sha].digest, []).append(sha)
    pairs = ((shas, ids.get(digest, set())) for digest, shas in commits.items())
    return {shas[0]: next(iter(found)) for shas, found in pairs if len(shas) == len(found) == 1}


def cheapest(left: Sequence[Known], rest: Sequence[tuple[str, str]], texts: Mapping[str, Diff]) -> dict[str, str]:
    """Return {commit: id} by least cost; raise UserError with every pair that is not clearly the best."""
    costs: dict[tuple[str, str], int] = {}
    sizes = {sha: len(texts[sha].lines) for sha, _ in rest}
    subjects = {k.id: k.subject for k in left}
    for k in left:
        for sha, _ in rest:
            price = cost(texts[k.sha], texts[sha])
            if price < CREATION_FACTOR * (len(texts[k.sha].lines) + sizes[sha]):
                costs[sha, k.id] = min(price, costs.get((sha, k.id), price))
    matched: dict[str, str] = {}
    for (sha, id_), price in sorted(costs.items(), key=lambda item: (item[1], item[0])):
        taken = set(matched.values())
        if sha in matched or id_ in taken:
            continue
        rivals = [
            (other, i)
            for (other, i), more in costs.items()
            if (other == sha) != (i == id_)
            and other not in matched
            and i not in taken
            and more - price < AMBIGUOUS * sizes[sha]
        ]
        if rivals:
            raise ambiguous([(sha, id_), *rivals], dict(rest), subjects)
        matched[sha] = id_
    return matched


def ambiguous(pairs: Sequence[tuple[str, str]], named: Mapping[str, str], subjects: Mapping[str, str]) -> UserError:
    """Return the error that shows every candidate, and how to choose."""
    shown = "".join(f"\n  {sha[:12]} ({named[sha]}) may be {id_} ({subjects[id_]})" for sha, id_ in sorted(pairs))
    return UserError(
        f"patchbot cannot tell which generated patch these commits are:{shown}\n"
        "tell edits, freeze or regenerate by --match COMMIT=PATCH:"
        f" --match {pairs[0][0][:12]}={pairs[0][1]}, or --match {pairs[0][0][:12]}= for a commit of your own"
    )


def parse_choices(pairs: Sequence[str], resolve: Callable[[str], str], ids: Sequence[str]) -> dict[str, str]:
    """Return {commit: id} of --match COMMIT=PATCH options; raise UserError for an unknown commit or patch."""
    chosen: dict[str, str] = {}
    for pair in pairs:
        rev, equals, id_ = pair.partition("=")
        if not equals or (id_ and id_ not in ids):
            raise UserError(f"--match {pair}: expected COMMIT=PATCH; PATCH is one of {', '.join(ids)}, or empty")
        chosen[resolve(rev)] = id_
    return chosen
