"""Give every occurrence of a campaign's words a fate by what its steps did: changed, kept by a rule, or left.

A codemod that silently leaves a place out is what a tree-wide change fails by, whatever made the edits. So the words
are searched before and after, and each is followed through the edits of every step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Literal

from .. import c
from ..c.words import CODE, Occurrence, call_at, enclosing, find_words, like_c, standing
from ..config import CampaignConfig, fit
from ..errors import ToolError, UserError
from ..model import Edit
from ..shapes import Words
from ..terminal import some
from .campaign import Audit, Site
from .tree import Tree, covers

CHANGE, KEEP, LEFT = "change", "keep", "left"
#: What a call stands in that has another number of arguments than those that have to go.
OTHER = "other call"
#: Where a word stands: its offset, the word, in what (CODE, ..), the name of what is around it, its line.
Place = tuple[int, str, str, str, int]


@dataclass(frozen=True)
class Keep:
    """Let sites stay, for a reason: those in a path (a file, folder or pattern), of a word, or one site by its name.

    What a campaign keeps may go with a later step; what is `decided` in patchbot.toml, no step may change.
    """

    reason: str
    path: str = ""
    word: str = ""
    site: str = ""
    decided: bool = False

    def takes(self, site: Site) -> bool:
        """Say whether a site may stay by this rule."""
        word = site.details["word"]
        return (
            (not self.path or covers(self.path, site.file))
            and self.word in ("", word)
            and self.site in ("", site.name)
            and bool(self.path or self.word or self.site)
        )


@dataclass(frozen=True)
class Decision:
    """What patchbot.toml says of a path or a site: that it stays, and why."""

    reason: Words
    keep: Literal[True] = True


@dataclass(frozen=True)
class Wanted:
    """What a campaign is about: words, the files to look for them in (git pathspecs), and the rules of what stays.

    A word with a number of `arguments` stays; what has to go are its calls (and prototypes) with so many.
    """

    words: tuple[str, ...]
    paths: tuple[str, ...] = ("*.c", "*.h", "*.S")
    keep: tuple[Keep, ...] = ()
    arguments: Mapping[str, int] = field(default_factory=dict)

    def decided(self, config: CampaignConfig) -> Wanted:
        """Return this with what patchbot.toml decides, by the name of a site or by a path, as further rules."""
        more = []
        for name, decision in config.decisions.items():
            row = fit("patchbot.toml", f'campaigns.{config.name}.decisions."{name}"', decision, Decision)
            kind = "site" if name.count(":") > 1 else "path"
            more.append(Keep(row.reason, decided=True, **{kind: name}))
        return replace(self, keep=(*self.keep, *more))

    def rule(self, site: Site) -> Keep | None:
        """Return the rule by which a site may stay."""
        return next((rule for rule in self.keep if rule.takes(site)), None)

    def files(self, tree: Tree) -> list[str]:
        """Return the files that hold any of the words, but for those that a rule keeps whole."""
        whole = [rule.path for rule in self.keep if not rule.word and not rule.site]
        return [path for path in self.holding(tree) if not any(covers(rule, path) for rule in whole)]

    def holding(self, tree: Tree) -> list[str]:
        """Return the files that hold any of the words."""
        try:
            return tree.grep(self.words, self.paths, word=True) if self.words else []
        except ToolError as error:  # of a pathspec that git cannot read
            raise UserError(f"sites: {error}; paths is {', '.join(map(repr, self.paths))}") from error

    def occurrences(self, path: str, text: bytes) -> list[Occurrence]:
        """Return where the words stand in a file; a call with another number of arguments is no code to look at."""
        found = find_words(path, text, self.words)
        return [replace(o, kind=OTHER) if self.arguments and self._other(text, o) else o for o in found]

    def _other(self, text: bytes, occurrence: Occurrence) -> bool:
        """Say whether a word is called with another number of arguments than the calls that have to go."""
        if occurrence.kind != CODE or occurrence.word not in self.arguments:
            return False
        call = call_at(text, occurrence.end)
        return call is not None and call[0] != self.arguments[occurrence.word]

    def end_of(self, site: Site, at: int, text: bytes) -> int:
        """Return the end of a site that begins at an offset of a text: of its word, or of its call."""
        word = site.details["word"]
        end = at + len(word)
        call = call_at(text, end) if word in self.arguments else None
        return call[1] if call else end

    def sites(self, path: str, places: Iterable[Place]) -> Iterator[tuple[int, Site | None]]:
        """Yield where each occurrence in a file begins, with the site that it is, None for a mention.

        A site's name is file, enclosing function and word, with #2, #3, .. where these are the same.
        """
        seen: Counter[str] = Counter()
        for start, word, kind, inside, line in places:
            if kind != CODE:
                yield start, None
                continue
            name = f"{path}:{inside}:{word}"
            seen[name] += 1
            if seen[name] > 1:
                name = f"{name}#{seen[name]}"
            yield start, Site(name, path, line, LEFT, details={"name": name, "word": word})

    def places(self, path: str, text: bytes) -> list[Place]:
        """Return the occurrences in a file with the function, variable or macro and the line that each is in."""
        found = self.occurrences(path, text)
        inside = enclosing(text, [o.start for o in found])
        lines = accumulate(text.count(b"\n", a, b) for a, b in pairwise([0, *(o.start for o in found)]))
        return [(o.start, o.word, o.kind, name, 1 + n) for o, name, n in zip(found, inside, lines, strict=True)]


def places(path: str, text: bytes, words: Sequence[str], arguments: Mapping[str, int]) -> list[Place]:
    """Return the places of words in a file."""
    return Wanted(tuple(words), arguments=arguments).places(path, text)


@dataclass
class Followed:
    """The words of a tree, followed through the steps: where each site of the base stands after the last one.

    `now` is {path: {offset: site}} of what is there; a site of which `fresh` has the name came with a step. `unseen`
    has what a tool did not see of a file, as (first line, last line, why).
    """

    tree: Tree
    wanted: Wanted
    now: dict[str, dict[int, Site]] = field(default_factory=dict)
    base: list[Site] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    mentions: int = 0
    unseen: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    _stands: dict[str, dict[str, tuple[tuple[str, ...], str]]] = field(default_factory=dict)

    @classmethod
    def start(cls, tree: Tree, wanted: Wanted) -> Followed:
        """Look for the words in a base."""
        made = cls(tree, wanted)
        paths = wanted.holding(tree)
        tree.load(paths)
        rows = tree.each(dict[str, list[Place]], places, paths, wanted.words, wanted.arguments)
        for path in paths:
            text = tree.read(path)
            if not rows[path] or any(text[at : at + len(word)] != word.encode() for at, word, *_ in rows[path]):
                rows[path] = wanted.places(path, text)  # what is kept was damaged
            found = list(wanted.sites(path, rows[path]))
            if here := {start: site for start, site in found if site}:
                made.now[path] = here
                made.base += here.values()
            made.mentions += sum(site is None for _, site in found)
        return made

    def advance(self, before: Tree, edits: Sequence[Edit]) -> list[Edit]:
        """Follow the edits of a step on the tree `before`; return them with the site that each changes.

        An edit of several sites is cut into as many. Raises EditError where they contradict each other.
        """
        after = before.edit(edits)
        by_path: dict[str, list[Edit]] = {}
        for edit in edits:
            by_path.setdefault(edit.path, []).append(edit)
        told = []
        moved: dict[str, dict[int, Site]] = {}
        for path, rows in by_path.items():
            here = self.now.pop(path, {})
            name = next((edit.to for edit in rows if edit.to), path)
            text = after.get(name) if not any(edit.delete for edit in rows) else None
            ordered = sorted(rows)
            moved[name], gone = self._follow(name, here, ordered, text or b"")
            old = before.get(path) or b""
            told += list(
                attributed(ordered, {at: (site, self.wanted.end_of(site, at, old)) for at, site in gone.items()})
            )
        self.now |= {path: sites for path, sites in moved.items() if sites}
        self._insist_on_decisions({edit.site for edit in told})
        return told

    def _insist_on_decisions(self, changed: Collection[str]) -> None:
        """Raise UserError for sites that a step changes though patchbot.toml says that they stay."""
        rules = [rule for rule in self.wanted.keep if rule.decided]
        rows = [(site, rule) for site in self.base if site.name in changed for rule in rules if rule.takes(site)]
        if rows:
            told = [
                f"{site.file}:{site.line}: it changes {site.name}, which stays: {rule.reason}" for site, rule in rows
            ]
            raise UserError("\n".join([*some(told), "the decision is in patchbot.toml; have the codemod obey it"]))

    def _follow(
        self, name: str, here: Mapping[int, Site], edits: Sequence[Edit], text: bytes
    ) -> tuple[dict[int, Site], dict[int, Site]]:
        """Return the sites of a file after some edits of it, and {offset before: site} of those that are gone."""
        gone, then = dict(here), {}
        strays = []
        for occurrence in self.wanted.occurrences(name, text):
            if occurrence.kind != CODE:
                continue
            old = origin(edits, occurrence.start, occurrence.end)
            site = gone.get(old) if old is not None else None
            if old is not None and site is not None and site.details["word"] == occurrence.word:
                then[occurrence.start] = gone.pop(old)
            else:
                strays.append(occurrence.start)
        there = self.wanted.sites(name, self.wanted.places(name, text)) if strays else ()
        named = {start: site for start, site in there if site}
        for start in strays:  # rewritten text that has the word again is the site that it replaces
            fresh = named[start]
            word = fresh.details["word"]
            same = (at for at, site in gone.items() if site.details["word"] == word and within_one(edits, at, start))
            if (at := next(same, None)) is not None:
                then[start] = gone.pop(at)
            else:
                self.fresh.add(fresh.name)
                then[start] = fresh
        return then, gone

    def audit(self) -> Audit:
        """Return every site with its fate after the steps that were followed."""
        there = {site.name: (path, site) for path, rows in self.now.items() for site in rows.values()}
        sites = []
        for site in self.base:
            if site.name not in there:
                sites.append(replace(site, fate=CHANGE))
                continue
            rule = self.wanted.rule(site)
            if rule:
                sites.append(replace(site, fate=KEEP, reason=rule.reason))
            else:
                sites.append(self._left(site))
        sites = [self._placed(site) for site in sites]
        for path, site in there.values():
            if site.name in self.fresh:
                rule = self.wanted.rule(site)
                fate, reason = (KEEP, rule.reason) if rule else (LEFT, f"a step writes it into {path}")
                sites.append(replace(site, fate=fate, reason=reason))
        unused = [rule for rule in self.wanted.keep if not any(rule.takes(site) for site in self.base)]
        fates = Counter(site.fate for site in sites)
        files = len({site.file for site in self.base})
        counts = {"files": files, "sites": len(sites), **{fate: fates[fate] for fate in (CHANGE, KEEP, LEFT)}}
        said = tuple(f"the rule that keeps {r.path or r.word or r.site} ({r.reason}) is about no site" for r in unused)
        return Audit(tuple(sites), said, {"counts": {**counts, "mentions": self.mentions}}, followed=True)

    def _placed(self, site: Site) -> Site:
        """Return a site that stays with the conditions around it."""
        if site.fate == CHANGE:
            return site
        return replace(site, conditions=self._standing(site)[0])

    def _left(self, site: Site) -> Site:
        """Return a site that no step changes, with why where that is known."""
        unseen = [why for first, last, why in self.unseen.get(site.file, ()) if first <= site.line <= last]
        known = [self._standing(site)[1], *unseen[:1]]
        return replace(site, fate=LEFT, reason="; ".join(filter(None, ["no step changes it", *known])))

    def _standing(self, site: Site) -> tuple[tuple[str, ...], str]:
        """Return what a site of the base stands in; a file is read once for all of its sites."""
        if not like_c(site.file):
            return (), ""
        if site.file not in self._stands:
            text = self.tree.read(site.file)
            source = c.parse(site.file, text)
            found = self.wanted.sites(site.file, self.wanted.places(site.file, text))
            self._stands[site.file] = {s.name: standing(source, start) for start, s in found if s}
        return self._stands[site.file][site.name]


def origin(edits: Sequence[Edit], start: int, end: int) -> int | None:
    """Return where the bytes [start, end) of a text after sorted `edits` were before, None if an edit wrote any."""
    shift = 0
    for edit in edits:
        at = edit.start + shift
        if end <= at:
            break
        if start < at + len(edit.new):
            return None
        shift += len(edit.new) - (edit.end - edit.start)
    return start - shift


def within_one(edits: Sequence[Edit], old: int, new: int) -> bool:
    """Say whether one of sorted `edits` replaces what was at `old` and writes what is at `new`."""
    shift = 0
    for edit in edits:
        at = edit.start + shift
        if edit.start <= old <= edit.end and at <= new <= at + len(edit.new):
            return True
        shift += len(edit.new) - (edit.end - edit.start)
    return False


def attributed(edits: Iterable[Edit], gone: Mapping[int, tuple[Site, int]]) -> Iterator[Edit]:
    """Yield sorted edits of a file, each with the name of the site that it changes; of several, cut into as many.

    `gone` is {offset of a site: (the site, its end)}. What is edited behind the word of a call is of the innermost one;
    one around it that nothing else edits has an edit that changes nothing.
    """
    left = dict(sorted(gone.items()))
    around: dict[int, str] = {}
    for edit in edits:
        mine = [at for at, (site, _) in left.items() if at <= edit.end and edit.start <= at + len(site.details["word"])]
        if not mine:
            within = [at for at, (_, end) in left.items() if at <= edit.start <= end]
            around |= dict.fromkeys(within[:-1], edit.path)
            mine = within[-1:]
        if edit.create or edit.delete:
            mine = list(left)[:1]
        names = [left.pop(at)[0].name for at in mine]
        if not names:
            yield edit
            continue
        cuts = [edit.start, *(min(max(at, edit.start), edit.end) for at in mine[1:]), edit.end]
        new = edit.new
        for name, start, end in zip(names, cuts, cuts[1:], strict=False):
            piece = replace(edit, start=start, end=end, new=new, site=name)
            new = b""
            yield piece
    yield from (Edit(path, at, at, site=left[at][0].name) for at, path in around.items() if at in left)
