"""Say what upstream did to a tree: names that new C uses and nothing defines, and where missing things went.

An edit can land in the right place and still not compile: upstream may have renamed a helper, a label or a variable
that the new text uses. Tokens show that without a compiler, as far as names go. It also splits files and moves
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..c import Function, Source, functions, macros, parse, prototypes, structs
from ..c.declarations import KEYWORDS
from ..c.items import Kind
from ..c.tokens import is_word, lex
from ..errors import ConfigError, PatchbotError, RefusedSites, UserError
from ..git.commits import Written, read_commit
from ..git.repo import Repo
from ..model import Edit
from .tree import Tree

#: Words before a name that is used, not declared.
_USING = frozenset((b"return", b"goto", b"else", b"case", b"sizeof", b"do"))
_TAGS = (b"struct", b"union", b"enum")
_TYPES = frozenset(b"bool u8 u16 u32 u64 s8 s16 s32 s64 __u32 __u64 size_t ssize_t true false NULL".split())


@dataclass(frozen=True)
class Use:
    """A name in the new text of an edit; `local` says that only the enclosing function can define it."""

    name: bytes
    local: bool


class _Place(NamedTuple):
    """An edit of an existing .c file, and the function whose inside it is in."""

    edit: Edit
    source: Source
    owner: Function | None


def unknown_names(tree: Tree, edits: Sequence[Edit]) -> dict[Edit, list[str]]:
    """Return the names that edits of existing .c files of `tree` use and nothing defines.

    A name is known if the enclosing function has it, or, unless it can only be a variable or a label there, if the
    file, a file that was edited before, or a header below include/ has it.
    """
    after = tree.edit(edits).overlay
    made = frozenset(_defined(parse(path, file.data) for path, file in after.items() if file))
    places = [place for edit in edits for place in _places(tree, edit)]
    declared: dict[tuple[str, Function | None], set[bytes]] = {}
    for edit, source, owner in places:
        declared.setdefault((source.path, owner), set()).update(_declared(lex(edit.new).texts))
    lacking = {place.edit: [use for use in _used(place) if _lacks(place, use, declared)] for place in places}
    far = {use.name for found in lacking.values() for use in found if not use.local} - made
    missing = {name for name in far if not tree.grep([name.decode()], ["include"], word=True)}
    named = {e: {use.name for use in found if use.local or use.name in missing} for e, found in lacking.items()}
    return {edit: sorted(name.decode() for name in names) for edit, names in named.items() if names}


def _places(tree: Tree, edit: Edit) -> Iterator[_Place]:
    """Yield where an edit is, if it is in an existing .c file."""
    text = tree.get(edit.path) if edit.path.endswith(".c") else None
    if text is not None:
        source = parse(edit.path, text)
        inside = (f for f in functions(source) if f.span.start < edit.start and edit.end < f.body.end)
        yield _Place(edit, source, next(inside, None))


def _used(place: _Place) -> Iterator[Use]:
    """Yield the names that an edit uses; none if it is in a comment."""
    edit, source, owner = place
    if not any(c.start < edit.start < c.end for c in source.lexed.comments):
        yield from uses(edit.new, inside=owner is not None)


def _lacks(place: _Place, use: Use, declared: Mapping[tuple[str, Function | None], set[bytes]]) -> bool:
    """Say whether neither the enclosing function nor the file has a name that the C of an edit uses."""
    _, source, owner = place
    if use.name in declared[source.path, owner] or (owner and use.name in _words(source, owner)):
        return False
    if use.local:
        return use.name not in _file_scope(source)
    return use.name not in source.lexed.index and use.name not in declared.get((source.path, None), ())


def uses(text: bytes, *, inside: bool) -> Iterator[Use]:
    """Yield the names that a text uses and does not declare; `inside` a function, variables are local."""
    lexed = lex(text)
    words = lexed.texts
    declared = set(_declared(words))
    for at, word in enumerate(words):
        if not is_word(word) or word in KEYWORDS or word in _TYPES or word in declared or lexed.directive_at(at):
            continue
        before = words[at - 1] if at else b""
        called = words[at + 1 : at + 2] == [b"("]
        plain = not called and before not in (b".", b"->", *_TAGS) and not word.isupper() and not word.endswith(b"_t")
        yield Use(word, inside and plain)


def _declared(words: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the names that a text declares: those after a type, one or a list."""
    depth = 0
    for at, word in enumerate(words):
        depth += (word in (b"(", b"[")) - (word in (b")", b"]"))
        if at == 0 or not is_word(word) or word in KEYWORDS:
            continue
        before = words[at - 1]
        typed = before in (b"*", b"}") or (is_word(before) and before not in _USING and before not in _TAGS)
        if before == b"*" and at > 1 and not is_word(words[at - 2]) and words[at - 2] not in (b"*", b","):
            continue  # `= *x`, `(*x`
        if typed or (before == b"," and depth == 0):
            yield word
        if before in _TAGS and words[at + 1 : at + 2] == [b"{"]:
            yield word


def _defined(sources: Iterable[Source]) -> Iterator[bytes]:
    """Yield the functions, macros, structs and members that files define."""
    for source in sources:
        if source.path.endswith((".c", ".h")):
            yield from (f.name.encode() for f in (*functions(source), *prototypes(source)))
            yield from (m.name.encode() for m in macros(source))
            for struct in structs(source):
                yield struct.name.encode()
                yield from (m.name.encode() for m in struct.members)


@lru_cache(maxsize=8)
def _words(source: Source, function: Function) -> frozenset[bytes]:
    """Return the words of a function that are neither tags nor members."""
    lexed = source.lexed
    first, last = lexed.token_range(function.span.start, function.span.end)
    texts = lexed.texts
    return frozenset(texts[n] for n in range(first, last) if n == first or texts[n - 1] not in (*_TAGS, b".", b"->"))


@lru_cache(maxsize=8)
def _file_scope(source: Source) -> frozenset[bytes]:
    """Return the tokens outside of all functions and brackets: variables of the file and the like."""
    texts = source.lexed.texts
    numbers = (n for i in source.items if i.kind is not Kind.MACRO for n in i.outline)
    return frozenset(texts[n] for n in numbers if texts[n - 1] not in _TAGS)


#: More places than this are no help.
MOST = 4


def elsewhere(tree: Tree, paths: Sequence[str], names: Sequence[str]) -> str:
    """Return where the functions, structs or macros `names` are defined, if not in `paths`; "" if nowhere near.

    The folders of `paths` and the kernel's own headers are searched.
    """
    if not names:
        return ""
    folders = sorted({path.rpartition("/")[0] for path in paths} - {""} | {"include/linux"})
    found = []
    for path in tree.grep(list(names), folders, word=True):
        if not path.endswith((".c", ".h")) or path in paths:
            continue
        source = parse(path, tree.read(path))
        things = [(x.name, x.span) for kind in (functions, structs, macros) for x in kind(source)]
        found += [f"{name} is in {source.where(span.start)}" for name, span in things if name in names]
    if not found:
        found = [
            f"{p.name}() is only declared in {source.where(p.span.start)}"
            for path in paths
            if (text := tree.get(path)) is not None
            for source in [parse(path, text)]
            for p in prototypes(source)
            if p.name in names
        ]
    return "".join(f"\n    {line}" for line in found[:MOST])


PLACE = re.compile(r"^\s*((?=[^\s:]+?/[^\s:])[^\s:]++|[A-Z][a-z]+file)(?::(\d{1,9}))?: ")


#: Blaming one line of a file with a long history takes seconds; more than this is not worth the wait.
PATIENCE = 20.0


@contextmanager
def blame_places(tree: Tree, old: str) -> Iterator[None]:
    """Add to a failed generation which commit of the new base last changed each place."""
    try:
        yield
    except ConfigError:
        raise
    except (UserError, RefusedSites) as error:
        text = "\n".join(annotated(tree.repo, tree.commit, old, str(error).split("\n")))
        kind: type[PatchbotError] = RefusedSites if isinstance(error, RefusedSites) else UserError
        raise kind(f"{text}\nthe last version is as it was") from error


def annotated(repo: Repo, new: str, old: str, lines: Sequence[str]) -> list[str]:
    """Add to each line the commit that last changed the place it begins with, if history has it."""
    out: list[str] = []
    for line in lines:
        place = PLACE.match(line)
        commit = last_change(repo, old, new, place[1], int(place[2] or 0)) if place else None
        out += [line, *([f"    last changed by {commit.sha[:12]} ({commit.subject})"] if commit else [])]
    return out


def last_change(repo: Repo, old: str, new: str, path: str, line: int) -> Written | None:
    """Return the commit of `new` that last changed a file, None if that is a root commit (no history).

    With a line, it is the commit to blame for that line, if `old` lacks it; deleted files are found too.
    """
    try:
        blamed = repo.blame(new, path, line, PATIENCE) if line else None
        if blamed and repo.merge_base(blamed, old) != blamed and (found := read_commit(repo, blamed)).parent:
            return found
        last = repo.last_change(old, new, path, PATIENCE)
        return found if last and (found := read_commit(repo, last)).parent else None
    except PatchbotError:
        return None
