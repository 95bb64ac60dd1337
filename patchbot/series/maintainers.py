"""Say who owns a file, by the MAINTAINERS file of the tree that a series is for.

Recipients of a mail come from that tree's own get_maintainer.pl (recipients.py), at half a second a patch. This
module answers what a split needs hundreds of times: the sections of a path, and the tree that takes a change to it.
The rules of matching are get_maintainer.pl's: a pattern is a prefix as deep as the path, `*` may cross a `/`, a
trailing `/` takes everything below, X: excludes, N: is a regex on the path, K: does not count for a file. The patterns
are untrusted: they are matched in linear time, and those that cannot be are named (`unusable`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count

from ..config import CampaignConfig, OwnerRule
from ..foreign import BadPattern, Pattern, Patterns, extended, pattern
from ..git.objects import Objects
from .tree import Tree, covers
from .treenames import address, names_of

#: A glob that is always a valid regular expression; nearly all are.
PLAIN = re.compile(r"[\w./*?,@-]*")


@dataclass(frozen=True, eq=False)
class Section:
    """One entry of MAINTAINERS; `files`, `excluded`, `regexes` and `keywords` are F:, X:, N: and K: as written."""

    name: str
    status: str
    maintainers: tuple[str, ...]
    reviewers: tuple[str, ...]
    lists: tuple[str, ...]
    trees: tuple[str, ...]
    profiles: tuple[str, ...]
    files: tuple[str, ...]
    excluded: tuple[str, ...]
    regexes: tuple[str, ...]
    keywords: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Fit:
    """How well a section's patterns fit a path; the best sorts first."""

    rank: int
    length: int
    name: str


class Sections(tuple[Section, ...]):
    """The entries of a MAINTAINERS file, and an index to find those of a path without trying all 3,300.

    Equal only to itself, which makes it a cheap key. `unusable` has a line for each pattern that cannot be matched.
    """

    unusable: tuple[str, ...] = ()
    #: The text between two names of entries, each with the number of the section that it is, None if it is none.
    pieces: tuple[tuple[int | None, str], ...] = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    @cached_property
    def plain(self) -> dict[str, list[tuple[int, str]]]:
        """{F: pattern that is a plain path: each number of a section that has it, with the pattern}."""
        found: dict[str, list[tuple[int, str]]] = {}
        for number, section in enumerate(self):
            for glob in section.files:
                if divided(glob)[1] is None:
                    found.setdefault(glob, []).append((number, glob))
        return found

    @cached_property
    def globs(self) -> tuple[list[tuple[int, str]], Patterns]:
        """The F: patterns that are none, each with the number of its section, and what finds those of a path."""
        rows = [(n, glob, rest) for n, s in enumerate(self) for glob in s.files if (rest := divided(glob)[1])]
        rows = [row for row in rows if not unmatchable("F", row[1])]
        return [row[:2] for row in rows], Patterns([row[2] for row in rows], begin=True)

    @cached_property
    def tree_names(self) -> dict[str, str]:
        """{the name of a tree with its owner: what it is called}."""
        return names_of(section.trees for section in self)

    @cached_property
    def names(self) -> tuple[list[int], Patterns]:
        """The number of the section of each N: pattern, and what finds those of a path."""
        rows = [(n, extended(text)) for n, s in enumerate(self) for text in s.regexes if not unmatchable("N", text)]
        return [number for number, _ in rows], Patterns([text for _, text in rows], begin=False)

    @cached_property
    def always(self) -> set[int]:
        """The numbers of the sections that may have any patch: they have a pattern that cannot be matched here."""
        odd = {"F": "files", "N": "regexes", "K": "keywords"}
        return {n for n, s in enumerate(self) if any(unmatchable(t, text) for t in odd for text in getattr(s, odd[t]))}

    @cached_property
    def keys(self) -> tuple[list[int], Patterns]:
        """The number of the section of each K: pattern, and what finds those of a text."""
        rows = [(n, f"(?m){extended(k)}") for n, s in enumerate(self) for k in s.keywords if not unmatchable("K", k)]
        return [number for number, _ in rows], Patterns([text for _, text in rows], begin=False)

    def part(self, paths: Iterable[str], patch: str) -> bytes:
        """Return MAINTAINERS without the sections that have none of `paths`, and no keyword that a patch holds."""
        numbers, patterns = self.keys
        wanted = self.always.union(*map(self.likely, paths), (numbers[n] for n in patterns.among(patch)))
        text = "".join(text for number, text in self.pieces if number is None or number in wanted)
        return text.encode("utf-8", "surrogateescape")

    def likely(self, path: str) -> dict[int, list[str]]:
        """Return {number: the F: patterns that start like `path`} of each section that may have it."""
        found: dict[int, list[str]] = {}
        for end in range(len(path) + 1):
            for number, glob in self.plain.get(path[:end], ()):
                found.setdefault(number, []).append(glob)
        rows, patterns = self.globs
        for number, glob in (rows[n] for n in patterns.among(path)):
            found.setdefault(number, []).append(glob)
        numbers, patterns = self.names
        for number in (numbers[n] for n in patterns.among(path)):
            found.setdefault(number, [])
        return found


@lru_cache(maxsize=8)
def sections(text: bytes) -> Sections:
    """Return the entries of a MAINTAINERS file."""
    entries: list[tuple[str, dict[str, list[str]], list[str]]] = [("", {}, [])]
    wrong: list[str] = []
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").split("\n"), 1):
        if line[1:2] == ":" and "A" <= (tag := line[0]) <= "Z":
            value = line[2:].strip()
            entries[-1][1].setdefault(tag, []).extend(value.split()[:1] if tag == "L" else [value])
            if tag in "FXN" and (why := unmatchable(tag, value)):
                what = f"MAINTAINERS:{number}: {tag}: {value[:80]}"
                wrong.append(f"{what} cannot be used, so it matches nothing: {why}")
        elif line.strip() and not line.lstrip().startswith("#"):
            entries.append((line.strip(), {}, []))
        entries[-1][2].append(f"{line}\n")
    made = Sections(
        Section(name, " ".join(tags.get("S", ())), *(tuple(tags.get(letter, ())) for letter in "MRLTPFXNK"))
        for name, tags, _ in entries
        if name and tags
    )
    numbers = count()
    made.pieces = tuple((next(numbers) if name and tags else None, "".join(rows)) for name, tags, rows in entries)
    made.unusable = tuple(wrong)
    return made


def sections_of(objects: Objects, commit: str) -> Sections:
    """Return the entries of a commit's MAINTAINERS file, none without one."""
    return sections(objects.once(Objects.read, commit, "MAINTAINERS") or b"")


@lru_cache(maxsize=1 << 16)
def divided(glob: str) -> tuple[str, str | None]:
    """Return an F: pattern as the literal text it starts with and, if there is more, get_maintainer's regex."""
    literal = re.match(r"[^*?\\\[\](){}+^$|]*", glob)
    start = literal[0] if literal else ""
    if start == glob:
        return start, None
    text = glob.replace(".", r"\.").replace("**", "\0").replace("*", ".*").replace("?", ".")
    return start, text.replace("\0", "(?:.*)")


def regex(text: str) -> Pattern:
    """Return a pattern of MAINTAINERS; one that cannot be used matches nothing."""
    try:
        return pattern(text)
    except BadPattern:
        return pattern(r"[^\x00-\xff]")


def unmatchable(tag: str, value: str) -> str:
    """Return why the pattern of an F:, X:, N: or K: line cannot be matched, "" if it can."""
    if tag in "FX" and PLAIN.fullmatch(value):
        return ""
    try:
        pattern((divided(value)[1] if tag in "FX" else extended(value)) or "")
    except BadPattern as error:
        return str(error)
    return ""


def takes(glob: str, path: str) -> bool:
    """Say whether an F: or X: pattern matches `path`."""
    start, rest = divided(glob)
    if not path.startswith(start):
        return False
    # A folder without its slash: get_maintainer looks at the disk; here a path below it proves it.
    if rest is None and (start.endswith("/") or path.startswith(start + "/")):
        return True
    if rest is not None and not regex(rest).begins(path):
        return False
    return glob.endswith("/") or "**" in glob or path.count("/") == glob.count("/")


def catches_all(glob: str) -> bool:
    """Say whether an F: pattern is a catch-all such as `*` or `*/`."""
    return not glob.strip("*?/.")


def fit(section: Section, globs: Iterable[str], path: str) -> Fit | None:
    """Return how well a section fits a path, None if it does not; `globs` are its F: patterns that may fit."""
    taken = [glob for glob in globs if takes(glob, path)]
    by_regex = not taken and any(regex(extended(text)).within(path) for text in section.regexes)
    if not (taken or by_regex) or any(takes(glob, path) for glob in section.excluded):
        return None
    if by_regex:
        return Fit(1, 0, section.name)
    named = [glob for glob in taken if not catches_all(glob)]
    if not named:
        return Fit(2, 0, section.name)
    depth, length = max((p.count("/") + (not p.endswith("/")), len(p)) for p in named)
    return Fit(-depth, -length, section.name)


@lru_cache(maxsize=1 << 16)
def ranked(entries: Sections, path: str) -> tuple[tuple[Fit, Section], ...]:
    """Return the sections that a path belongs to with how well they fit, the most specific first."""
    likely = [(entries[number], globs) for number, globs in sorted(entries.likely(path).items())]
    found = [(match, section) for section, globs in likely if (match := fit(section, globs, path))]
    return tuple(sorted(found, key=lambda pair: pair[0]))


def owning(entries: Sections, path: str) -> tuple[Section, ...]:
    """Return the sections that own a path, the most specific first.

    THE REST and other catch-alls own nothing, nor does a section that only matches by N: if another one names the
    file or its folder.
    """
    found = ranked(entries, path)
    named = tuple(section for match, section in found if match.rank <= 0)
    return named or tuple(section for match, section in found if match.rank == 1)


def strangers(entries: Sections, path: str) -> tuple[Section, ...]:
    """Return the sections that match a path by N: only, though others name it: `stm` also takes bpf_te[stm]od.c."""
    named = set(owning(entries, path))
    return tuple(section for match, section in ranked(entries, path) if match.rank == 1 and section not in named)


def owners(entries: Sections, path: str) -> tuple[str, ...]:
    """Return the names of the sections that own a path, as `owning` does."""
    return tuple(section.name for section in owning(entries, path))


@lru_cache(maxsize=1 << 14)
def tree_names(entries: Sections, section: Section) -> tuple[str, ...]:
    """Return the names of a section's trees in the order of its T: lines."""
    return tuple(entries.tree_names[found.long] for found in map(address, section.trees) if found)


def tree_of(entries: Sections, section: Section) -> str:
    """Return the tree that takes new work of a section: the first whose name ends in -next, else the first."""
    names = tree_names(entries, section)
    return next((name for name in names if name.endswith("-next")), names[0] if names else "")


@lru_cache(maxsize=8)
def tree_of_lists(entries: Sections) -> dict[str, str]:
    """Return {list: tree}, as the largest section says that names this list first.

    A list of THE REST, which gets everything, belongs to no tree.
    """
    public = public_lists(entries)
    broadest: dict[str, tuple[int, int, str]] = {}
    for section in entries:
        tree = tree_of(entries, section)
        if tree and section.files and section.lists and section.lists[0] not in public:
            found, name = (*breadth(section), tree), section.lists[0]
            broadest[name] = min(found, broadest.get(name, found))
    return {name: tree for name, (_, _, tree) in broadest.items()}


@lru_cache(maxsize=8)
def public_lists(entries: Sections) -> frozenset[str]:
    """Return the lists of THE REST, which get everything."""
    return frozenset(name for s in entries if any(map(catches_all, s.files)) for name in s.lists)


def breadth(section: Section) -> tuple[int, int]:
    """Return how little of a tree a section with files has; the broadest sorts first."""
    return min(p.count("/") for p in section.files), -len(section.files)


@lru_cache(maxsize=64)
def keepers_of(entries: Sections, tree: str) -> tuple[str, ...]:
    """Return those who take the patches of a tree: the maintainers of the broadest section with it and its list.

    Its reviewers, if it has no maintainer; () for a tree of several subsystems, without a list of its own.
    """
    lists = [name for name in lists_of(entries, tree) if name not in public_lists(entries)]
    found = [s for s in entries if s.files and s.lists[:1] == tuple(lists) and tree in tree_names(entries, s)]
    broadest = min(found, key=breadth, default=None) if lists else None
    return (broadest.maintainers or broadest.reviewers) if broadest else ()


def target_of(entries: Sections, *paths: str) -> str:
    """Return the name of the tree that takes a change of these paths, "" if MAINTAINERS does not say.

    For one path it is the tree of the most specific section; a section without T: has the tree of its first list that
    has one. Of several trees, it is the one with the most paths, or with the first path if they are equal.
    """
    votes = Counter(tree for path in paths if (tree := target_of_path(entries, path)))
    return max(votes, key=lambda tree: votes[tree], default="")


def target_of_path(entries: Sections, path: str) -> str:
    """Return the name of the tree that takes a change of one path, "" if MAINTAINERS does not say."""
    by_list = tree_of_lists(entries)
    for section in owning(entries, path):
        candidates = [tree_of(entries, section), *(by_list.get(name, "") for name in section.lists)]
        if tree := next(filter(None, candidates), ""):
            return tree
    return ""


@lru_cache(maxsize=64)
def lists_of(entries: Sections, tree: str) -> tuple[str, ...]:
    """Return the mailing list of a tree: the one that most sections with this tree name first; () if none does."""
    count = Counter(s.lists[0] for s in entries if s.lists and tree and tree in tree_names(entries, s))
    return tuple(name for name, _ in count.most_common(1))


def profiles_of(entries: Sections, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the P: documents of the sections that own any of these paths, sorted."""
    return tuple(sorted({doc for path in paths for section in owning(entries, path) for doc in section.profiles}))


def tree_for(tree: Tree, config: CampaignConfig, paths: Sequence[str]) -> str:
    """Return the tree that most of `paths` belong to, by patchbot.toml or MAINTAINERS, else the campaign's own."""
    entries = sections(tree.read("MAINTAINERS"))
    rules = (rule_for(config, path) for path in paths)
    names = sorted((rule and rule.tree) or target_of(entries, path) for path, rule in zip(paths, rules, strict=True))
    return max(names, key=lambda n: (names.count(n), n == config.target), default="") or config.target


def rule_for(config: CampaignConfig, path: str) -> OwnerRule | None:
    """Return what a person says about the owner of a path."""
    return next((rule for rule in config.owners if covers(rule.path, path)), None)


def owners_for(tree: Tree, paths: Sequence[str]) -> Sequence[str]:
    """Return the sections of MAINTAINERS that own any of `paths`, sorted."""
    entries = sections(tree.read("MAINTAINERS"))
    return sorted({name for path in paths for name in owners(entries, path)})
