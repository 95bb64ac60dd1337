"""Find the named things of a C file: functions, prototypes, macros, variables, calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .conditions import conditions_at
from .declarations import KEYWORDS, Param, declared_name, decode, outline, params, returned_type, split_commas
from .items import Item, Kind
from .source import Source
from .tokens import Directive, Lexed, Span, is_word


@dataclass(frozen=True)
class Function:
    """A function's definition or prototype; `span` is all of it, `body` has the braces and is empty for a prototype."""

    name: str
    span: Span
    head: Span
    body: Span
    params: tuple[Param, ...]
    returns: str
    conditions: tuple[str, ...]


@lru_cache(maxsize=64)
def functions(source: Source) -> tuple[Function, ...]:
    """Return the functions that a file defines, in order."""
    return tuple(_function(source, item) for item in source.items if item.kind is Kind.FUNCTION)


@lru_cache(maxsize=64)
def prototypes(source: Source) -> tuple[Function, ...]:
    """Return the functions that a file declares without a body, in order."""
    declared = (_function(source, item) for item in source.items if item.kind is Kind.PROTOTYPE)
    return tuple(f for f in declared if f.returns)


def function(source: Source, name: str, params: Sequence[str] | None = None) -> list[Function]:
    """Return the definitions of `name`, with `params` only those whose parameters have these types."""
    wanted = None if params is None else [" ".join(p.split()) for p in params]
    return [f for f in functions(source) if f.name == name and (wanted is None or [p.type for p in f.params] == wanted)]


def _function(source: Source, item: Item) -> Function:
    """Return what an item defines or declares."""
    lexed = source.lexed
    assert item.head is not None
    span = lexed.span(item.first, item.last)
    body = Span(span.end, span.end)
    if item.opening is not None:
        body = Span(lexed.spans[item.opening][0], span.end)
    before = [i for i in item.outline if i != item.opening and lexed.texts[i] != b";"]
    head = Span(span.start, lexed.spans[max(item.head.closing, before[-1])][1])
    return Function(
        decode(lexed.texts[item.head.name]),
        span,
        head,
        body,
        params(lexed, item.head),
        returned_type(lexed, item.outline, item.head),
        conditions_at(source, span.start),
    )


@dataclass(frozen=True)
class Macro:
    """A `#define` with its continuation lines and newline; `params` is None for a macro without parentheses."""

    name: str
    span: Span
    params: tuple[str, ...] | None
    value: bytes
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """A call (or the use of a macro with arguments): the callee up to the bracket, and each argument."""

    span: Span
    args: tuple[Span, ...]


@lru_cache(maxsize=64)
def macros(source: Source) -> tuple[Macro, ...]:
    """Return the macros that a file defines, in order."""
    return tuple(_macro(source, d) for d in source.lexed.directives if d.keyword == b"define" and d.first + 2 < d.last)


def macro(source: Source, name: str) -> list[Macro]:
    """Return the definitions of the macro `name`."""
    return [m for m in macros(source) if m.name == name]


def _macro(source: Source, directive: Directive) -> Macro:
    """Return what a `#define` defines."""
    lexed = source.lexed
    name, at = directive.first + 2, directive.first + 3
    arguments = None
    if at < directive.last and lexed.texts[at] == b"(" and lexed.spans[at][0] == lexed.spans[name][1]:
        closing = lexed.brackets.partner.get(at, directive.last - 1)
        ranges = split_commas(lexed, at + 1, closing)
        arguments = tuple(decode(b"".join(lexed.texts[first:last])) for first, last in ranges)
        at = closing + 1
    value = source.at(lexed.span(at, directive.last)) if at < directive.last else b""
    start = directive.span.start
    begin = source.text.rfind(b"\n", 0, start) + 1
    span = Span(begin if not source.text[begin:start].strip() else start, directive.span.end)
    return Macro(decode(lexed.texts[name]), span, arguments, value, conditions_at(source, start))


def initialisers(source: Source, name: str) -> list[Span]:
    """Return the initialisers (the text after `=`) of the variable `name` at file scope."""
    lexed, wanted = source.lexed, name.encode()
    found = []
    for item in source.items:
        if item.kind is not Kind.OTHER or not any(lexed.texts[i] == b"=" for i in item.outline):
            continue
        last = item.last - 1 if lexed.texts[item.last - 1] == b";" else item.last
        for begin, end in split_commas(lexed, item.first, last):
            equals = [i for i in outline(lexed, begin, end) if lexed.texts[i] == b"="]
            if equals and equals[0] + 1 < end and wanted in _variable(lexed, begin, equals[0]):
                found.append(lexed.span(equals[0] + 1, end))
    return found


def _variable(lexed: Lexed, first: int, last: int) -> tuple[bytes, ...]:
    """Return the possible names of the variable whose declarator the tokens numbered [first, last) hold."""
    number = declared_name(lexed, first, last)
    if number is not None:
        return (lexed.texts[number],)
    numbers = outline(lexed, first, last)
    words = [i for i in numbers if is_word(lexed.texts[i]) and lexed.texts[i] not in KEYWORDS]
    if len(numbers) > 1 and lexed.texts[numbers[-1]] == b"(":
        closing = lexed.brackets.partner.get(numbers[-1], numbers[-1])
        return tuple(t for t in lexed.texts[numbers[-1] + 1 : closing] if is_word(t))[-1:]
    return tuple(lexed.texts[i] for i in words[:1])


def calls(source: Source, callee: str, within: Span | None = None) -> list[Call]:
    """Return the calls of `callee` in `within`, not its definition, prototype or `#define`, nor a member so named."""
    lexed = source.lexed
    texts, partner = lexed.texts, lexed.brackets.partner
    heads = {item.head.name for item in source.items if item.head is not None}
    found = []
    for number in lexed.index.get(callee.encode(), ()):
        if number in heads or number + 1 not in partner or texts[number + 1] != b"(":
            continue
        if number and (texts[number - 1] in (b"->", b".") or texts[max(0, number - 2) : number] == [b"#", b"define"]):
            continue
        span = lexed.span(number, partner[number + 1] + 1)
        if within is None or span in within:
            ranges = split_commas(lexed, number + 2, partner[number + 1])
            found.append(Call(span, tuple(lexed.span(first, last) for first, last in ranges if first < last)))
    return found
