"""Find structs, unions and enums, with their members, wherever they stand in a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .conditions import conditions_at
from .declarations import ATTRIBUTE, KEYWORDS, TRAILING_WORD, declared_name, decode, outline, split_commas
from .source import Source
from .tokens import Lexed, Span, is_word


class Member(NamedTuple):
    """A member of a struct or an enumerator: its name and its declaration, with the `;` of a struct's member."""

    name: str
    span: Span


@dataclass(frozen=True)
class Struct:
    """A struct, union or enum ("" if unnamed); `span` takes in the `;` that follows, `body` the braces.

    The members of an unnamed struct inside of it are members of it, as in C.
    """

    name: str
    keyword: str
    span: Span
    body: Span
    members: tuple[Member, ...]
    conditions: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def structs(source: Source) -> tuple[Struct, ...]:
    """Return the structs and unions that a file defines, nested ones too, in order."""
    return tuple(s for s in _types(source) if s.keyword != "enum")


@lru_cache(maxsize=64)
def enums(source: Source) -> tuple[Struct, ...]:
    """Return the enums that a file defines, in order."""
    return tuple(s for s in _types(source) if s.keyword == "enum")


def struct(source: Source, name: str) -> list[Struct]:
    """Return the definitions of the struct or union `name`."""
    return [s for s in structs(source) if s.name == name]


def enum(source: Source, name: str) -> list[Struct]:
    """Return the definitions of the enum `name`."""
    return [s for s in enums(source) if s.name == name]


@lru_cache(maxsize=64)
def _types(source: Source) -> tuple[Struct, ...]:
    """Return all types that a file defines, in order."""
    lexed = source.lexed
    numbers = sorted(n for keyword in (b"struct", b"union", b"enum") for n in lexed.index.get(keyword, ()))
    return tuple(s for n in numbers if not lexed.directive_at(n) and (s := _type(source, lexed, n)) is not None)


def _type(source: Source, lexed: Lexed, number: int) -> Struct | None:
    """Return the type that the keyword numbered `number` defines, None if it only names one."""
    texts, partner = lexed.texts, lexed.brackets.partner
    name = b""
    at = number + 1
    while at < len(texts) and texts[at] != b"{":
        if texts[at] == b"(" and at in partner and ATTRIBUTE.match(texts[at - 1]):
            at = partner[at]
        elif texts[at] == b":" and texts[number] == b"enum":
            at = next((n for n in range(at + 1, len(texts)) if not is_word(texts[n])), len(texts))
            continue
        elif not is_word(texts[at]) or texts[at] in KEYWORDS:
            return None
        elif (
            not ATTRIBUTE.match(texts[at])
            and not TRAILING_WORD.match(texts[at])
            and (not name or name.startswith(b"__"))
        ):
            name = texts[at]
        at += 1
    closing = partner.get(at, -1)
    if closing < at:
        return None
    body = lexed.span(at, closing + 1)
    end = closing + 1
    while end < len(texts) and (is_word(texts[end]) or (texts[end] == b"(" and partner.get(end, -1) > end)):
        end = partner.get(end, end) + 1
    last = end + 1 if end < len(texts) and texts[end] == b";" else closing + 1
    if texts[number] == b"enum":
        members = _enumerators(lexed, at + 1, closing)
    else:
        members = _members(lexed, at + 1, closing)
    start = lexed.spans[number][0]
    conditions = conditions_at(source, start)
    return Struct(decode(name), decode(texts[number]), lexed.span(number, last), body, tuple(members), conditions)


def _enumerators(lexed: Lexed, first: int, last: int) -> list[Member]:
    """Return the enumerators among the tokens numbered [first, last)."""
    found = []
    for begin, end in split_commas(lexed, first, last):
        words = outline(lexed, begin, end)
        if words and is_word(lexed.texts[words[0]]):
            found.append(Member(decode(lexed.texts[words[0]]), lexed.span(words[0], end)))
    return found


def _members(lexed: Lexed, first: int, last: int) -> list[Member]:
    """Return the members that the declarations among the tokens numbered [first, last) declare."""
    texts, partner = lexed.texts, lexed.brackets.partner
    found: list[Member] = []
    seen: list[int] = []
    for number in outline(lexed, first, last):
        if texts[number] != b";":
            seen.append(number)
            continue
        if seen:
            found += _declared(lexed, seen, number)
        seen = []
    if seen and partner.get(seen[-1], 0) < last:
        found += _declared(lexed, seen, partner.get(seen[-1], seen[-1]))
    return found


def _declared(lexed: Lexed, seen: list[int], last: int) -> list[Member]:
    """Return the members that one declaration declares; `last` is its `;`."""
    texts, partner = lexed.texts, lexed.brackets.partner
    span = lexed.span(seen[0], last + 1)
    braces = [i for i in seen if texts[i] == b"{"]
    if len(seen) == 2 and texts[seen[1]] == b"(" and is_word(texts[seen[0]]):
        return [Member(name, span) for name in _macro_names(lexed, texts[seen[0]], seen[1])]
    begin = seen[0] if not braces else partner[braces[-1]] + 1
    names = []
    for at, (first, end) in enumerate(split_commas(lexed, begin, last)):
        words = [i for i in outline(lexed, first, end) if is_word(texts[i]) and texts[i] not in KEYWORDS]
        number = declared_name(lexed, first, end) if at == 0 and not braces else None
        if number is None and (at or braces):
            plain = [i for i in words if not ATTRIBUTE.match(texts[i]) and not texts[i].startswith(b"__")]
            number = plain[0] if plain else None
        if number is not None:
            names.append(decode(texts[number]))
    if braces and not names:
        return _members(lexed, braces[-1] + 1, partner[braces[-1]])
    return [Member(name, span) for name in names]


def _macro_names(lexed: Lexed, macro: bytes, opening: int) -> list[str]:
    """Return what a member such as `DECLARE_BITMAP(name, bits)` or `DECLARE_FLEX_ARRAY(type, name)` declares."""
    texts = lexed.texts
    arguments = split_commas(lexed, opening + 1, lexed.brackets.partner[opening])
    single = [decode(texts[first]) for first, end in arguments if end == first + 1 and is_word(texts[first])]
    return single[-1:] if b"FLEX_ARRAY" in macro else single[:1]
