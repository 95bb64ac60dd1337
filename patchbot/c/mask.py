"""Make a copy of a C file that a grammar without a preprocessor parses, of the same length.

Blank are: directives, macro lines at file scope, brackets that an `#else` repeats. The head of a function becomes
`int name()`. In a body, a macro that is followed by a block or a statement becomes a loop, so that what it holds
are statements; a type among the arguments of a macro becomes a word; attributes are blank.
"""

from __future__ import annotations

from collections.abc import Sequence

from .declarations import ATTRIBUTE, KEYWORDS, OPERATORS, QUALIFIERS, TYPE_WORDS, split_commas
from .items import Item, Kind
from .tokens import Lexed, is_word

_BEFORE_STATEMENT = frozenset((b";", b"{", b"}", b")", b":", b"else", b"do"))
_RENAMED = {b"offsetof": b"offset", b"__alignof__": b"sizeof", b"_Alignof": b"sizeof", b"alignof": b"align"}
_STATEMENT_WORDS = frozenset(b"if while for switch do return goto break continue".split())
_DECORATIONS = frozenset(
    b"__user __rcu __percpu __iomem __force __kernel __kptr __kptr_untrusted __maybe_unused __always_unused __arena "
    b"__read_mostly __initdata __init __nocast __bitwise __private __must_check __packed __used __unused".split()
)


def mask(lexed: Lexed, items: Sequence[Item]) -> bytes:
    """Return the masked copy of a text; newlines stay."""
    copy = bytearray(lexed.text)
    for directive in lexed.directives:
        _blank(copy, directive.span.start, directive.span.end)
    for number in lexed.brackets.loose:
        _blank(copy, *lexed.spans[number])
    for item in items:
        if item.kind is Kind.MACRO:
            span = lexed.span(item.first, item.last)
            _blank(copy, span.start, span.end)
        elif item.kind is Kind.FUNCTION and item.head is not None and item.opening is not None:
            _plain_head(copy, lexed, item)
            _plain_body(copy, lexed, item.opening + 1, item.last - 1)
    return bytes(copy)


def _blank(copy: bytearray, start: int, end: int) -> None:
    """Overwrite bytes with spaces, but for newlines."""
    for line in bytes(copy[start:end]).split(b"\n"):
        copy[start : start + len(line)] = b" " * len(line)
        start += len(line) + 1


def _plain_head(copy: bytearray, lexed: Lexed, item: Item) -> None:
    """Turn the head of a function into `int name()`, that of a repeated one into nothing."""
    assert item.head is not None
    assert item.opening is not None
    head = item.head
    start, end = lexed.spans[item.first][0], lexed.spans[item.opening][0]
    _blank(copy, start, end)
    if item.repeated:
        return
    name = lexed.spans[head.name]
    if name[0] - start <= 3:
        copy[start : min(end, start + 7)] = b"int f()"[: end - start] if end - start >= 7 else b" " * (end - start)
        return
    copy[start : start + 3] = b"int"
    copy[name[0] : name[1]] = lexed.texts[head.name]
    for bracket in (head.opening, head.closing):
        copy[lexed.spans[bracket][0] : lexed.spans[bracket][1]] = lexed.texts[bracket]


def _plain_body(copy: bytearray, lexed: Lexed, first: int, last: int) -> None:
    """Turn the macros in the tokens numbered [first, last) of a body into plain C."""
    texts, partner, directives = lexed.texts, lexed.brackets.partner, lexed.in_directive
    at = first
    while at < last:
        if at in directives:
            at = directives[at].last
            continue
        token = texts[at]
        if token in _DECORATIONS:
            _blank(copy, *lexed.spans[at])
        elif token == b"(" and at in partner and is_word(texts[at - 1]) and (at - 1) not in directives:
            if ATTRIBUTE.match(texts[at - 1]) and not texts[at - 1].startswith((b"asm", b"__asm")):
                span = lexed.span(at - 1, partner[at] + 1)
                _blank(copy, span.start, span.end)
                at = partner[at]
            elif texts[at - 1] in _RENAMED:
                _rename(copy, lexed, at)
            elif texts[at - 1] not in KEYWORDS and not _plain_loop(copy, lexed, at, last):
                _plain_arguments(copy, lexed, at)
        at += 1


def _rename(copy: bytearray, lexed: Lexed, opening: int) -> None:
    """Replace an operator for which the grammar is narrower than the compilers."""
    start, end = lexed.spans[opening - 1]
    copy[start:end] = _RENAMED[lexed.texts[opening - 1]].ljust(end - start)
    _plain_arguments(copy, lexed, opening)


def _plain_loop(copy: bytearray, lexed: Lexed, opening: int, last: int) -> bool:
    """Turn a macro call that a block or a statement follows into `while (0)`, or `if (0)` if the name is short."""
    texts = lexed.texts
    closing = lexed.brackets.partner[opening]
    begins = texts[opening - 2] in _BEFORE_STATEMENT or opening - 1 in lexed.edges
    if not begins or closing + 1 >= last or closing + 1 in lexed.in_directive:
        return False
    after = texts[closing + 1]
    is_word_after = (
        is_word(after) and (after not in KEYWORDS or after in _STATEMENT_WORDS) and not ATTRIBUTE.match(after)
    )
    if after != b"{" and not is_word_after:
        return False
    start, end = lexed.spans[opening - 1]
    inner = lexed.spans[opening][1]
    name = b"while" if end - start >= 5 else b"if"
    roomy = end - start >= len(name) and closing > opening + 1
    _blank(copy, start, lexed.spans[closing][1])
    if roomy:
        copy[start : start + len(name)] = name
        copy[inner - 1 : inner] = b"("
        copy[lexed.spans[opening + 1][0] : lexed.spans[opening + 1][0] + 1] = b"0"
        copy[lexed.spans[closing][0] : lexed.spans[closing][1]] = b")"
    return True


def _plain_arguments(copy: bytearray, lexed: Lexed, opening: int) -> None:
    """Turn the arguments of a call that are types, e.g. `struct btf *`, into one word or `0`."""
    texts = lexed.texts
    if texts[opening - 1] in OPERATORS:
        return
    for first, last in split_commas(lexed, opening + 1, lexed.brackets.partner[opening]):
        if first == last or not (texts[first] in TYPE_WORDS or texts[first] in QUALIFIERS or texts[last - 1] == b"*"):
            continue
        words = [i for i in range(first, last) if is_word(texts[i]) and texts[i] not in KEYWORDS]
        span = lexed.span(first, last)
        _blank(copy, span.start, span.end)
        if words:
            start, end = lexed.spans[words[-1]]
            copy[start:end] = texts[words[-1]]
        else:
            copy[span.start : span.start + 1] = b"0"
