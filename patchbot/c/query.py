"""Find the named things of a C file: functions, prototypes, types, macros, variables, calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .declarations import Param, decode, params, returned_type
from .items import Item, Kind
from .source import Source
from .tokens import Span


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
    return tuple(_function(source, item) for item in source.items if item.kind is Kind.PROTOTYPE)


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
        (),
    )
