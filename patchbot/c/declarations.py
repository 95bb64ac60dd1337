"""Read the name, the parameters and the type of a declaration from the tokens of its head.

A head is what stands before `{`, `;` or `=`. Attributes and macros may stand anywhere in it, so the rules go by
shape: the name is the word before the first parentheses that have a type before them and no type after them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .tokens import Lexed, is_word

#: Words that can never be the name of a function, a variable or a parameter.
TYPE_WORDS = frozenset(b"void char short int long float double signed unsigned _Bool struct union enum".split())
STORAGE_WORDS = frozenset(
    b"static extern inline __inline __inline__ typedef register auto _Noreturn __always_inline noinline notrace "
    b"asmlinkage __bpf_kfunc __weak noreturn _Thread_local __thread __init __exit __ref __cold __hot __used "
    b"__maybe_unused __must_check __visible __naked __pure __deprecated __noreturn".split()
)
QUALIFIERS = frozenset(b"const volatile restrict __restrict __restrict__ __const __volatile__ _Atomic".split())
OPERATORS = frozenset(
    b"if while for switch do else return sizeof typeof typeof_unqual __typeof __typeof__ alignof _Alignof __alignof__ "
    b"goto case default break continue asm __asm __asm__ _Static_assert _Generic".split()
)
KEYWORDS = TYPE_WORDS | QUALIFIERS | OPERATORS | frozenset(b"static extern typedef inline register".split())
#: Macros with arguments that decorate a declaration; they are neither its name nor an item by themselves.
ATTRIBUTE = re.compile(
    rb"__(attribute|attribute__|declspec|printf|scanf|acquires|releases|must_hold|acquire|release|cond_acquires"
    rb"|cond_releases|cond_lock|section|aligned|alloc_size|realloc_size|malloc|nonnull|counted_by|counted_by_le|counted_by_be"
    rb"|cleanup|free|guarded_by|pt_guarded_by|context_unsafe|assume_aligned|diagnose_as|nonstring|no_sanitize|copy"
    rb"|alias|mode|vectorcall|bos0|overloadable|must_hold_shared|acquires_shared|releases_shared|acquires_ret"
    rb"|acquires_shared_ret|no_context_analysis|returns_nonnull|sized_by|ref_kfunc|gnu_printf|access|target)\Z"
    rb"|_Alignas\Z|alignas\Z|__declspec\Z|asm\Z|__asm__\Z|__asm\Z"
)
TRAILING_WORD = re.compile(
    rb"__(maybe_|always_)?unused\Z|__[a-z]*_?(init|exit|initdata|initconst|read_mostly|ro_after_init)\Z"
    rb"|__used\Z|__packed\Z|____cacheline\w*\Z|__arena\Z"
)


@dataclass(frozen=True)
class Param:
    """A parameter: its text, its name ("" if it has none) and its type (`struct task_struct *`) without attributes."""

    text: bytes
    name: str
    type: str


@dataclass(frozen=True)
class Head:
    """The name in a head and where its parameter list is: token numbers of the name and of the parentheses."""

    name: int
    opening: int
    closing: int


def decode(text: bytes) -> str:
    """Return `text` as a string in which bytes that are not UTF-8 stay visible."""
    return text.decode("utf-8", "backslashreplace")


def function_head(lexed: Lexed, items: Sequence[int]) -> Head | None:
    """Return the name and parameters in a head whose top-level tokens are `items`, None if that is not a function."""
    texts, partner = lexed.texts, lexed.brackets.partner
    candidates: list[Head] = []
    wrapped: Head | None = None
    for at, number in enumerate(items):
        if texts[number] != b"(" or number not in partner or at == 0:
            continue
        name = items[at - 1]
        if not is_word(texts[name]) or texts[name] in KEYWORDS:
            wrapped = wrapped or _wrapped_head(lexed, number)
        elif not ATTRIBUTE.match(texts[name]):
            candidates.append(Head(name, number, partner[number]))
    untyped = [head for head in candidates if not _is_type_in(lexed, items, head.closing, len(texts), _surely_type)]
    typed = [head for head in untyped if _is_type_in(lexed, items, 0, head.name, _maybe_type)]
    return next(iter((*typed, *([wrapped] if wrapped else []), *untyped, *candidates)), None)


def _surely_type(token: bytes) -> bool:
    return token == b"*" or token in KEYWORDS - OPERATORS


def _maybe_type(token: bytes) -> bool:
    return (
        token in TYPE_WORDS
        or token.startswith((b"*", b"typeof", b"__typeof"))
        or (is_word(token) and token not in KEYWORDS and token not in STORAGE_WORDS and not ATTRIBUTE.match(token))
    )


def _is_type_in(lexed: Lexed, items: Sequence[int], after: int, before: int, test: Callable[[bytes], bool]) -> bool:
    """Say whether a top-level token between two token numbers passes `test`."""
    return any(after <= i < before and test(lexed.texts[i]) for i in items)


def _wrapped_head(lexed: Lexed, opening: int) -> Head | None:
    """Return the head in `void (*name(params))(int)` or `int (name)(params)`, `opening` being the first bracket."""
    texts, partner = lexed.texts, lexed.brackets.partner
    closing = partner[opening]
    at = opening + 1
    while at < closing and (texts[at] == b"*" or texts[at] in QUALIFIERS):
        at += 1
    if at >= closing or not is_word(texts[at]) or texts[at] in KEYWORDS:
        return None
    if at > opening + 1 and texts[at + 1] == b"(" and at + 1 in partner:
        return Head(at, at + 1, partner[at + 1])
    if at == opening + 1 and at + 1 == closing and closing + 1 in partner and texts[closing + 1] == b"(":
        return Head(at, closing + 1, partner[closing + 1])
    return None


def split_commas(lexed: Lexed, first: int, last: int) -> list[tuple[int, int]]:
    """Return the ranges of tokens between the commas at the level of the tokens numbered [first, last)."""
    texts, partner = lexed.texts, lexed.brackets.partner
    ranges: list[tuple[int, int]] = []
    begin = at = first
    while at < last:
        if texts[at] == b",":
            ranges.append((begin, at))
            begin = at + 1
        closing = partner.get(at, at)
        at = (closing if closing > at else at) + 1
    return [*ranges, (begin, last)] if begin < last or ranges else []


def outline(lexed: Lexed, first: int, last: int) -> list[int]:
    """Return the tokens numbered [first, last) without directives and what stands in brackets."""
    partner, directives = lexed.brackets.partner, lexed.in_directive
    numbers = []
    at = first
    while at < last:
        if at in directives:
            at = directives[at].last
            continue
        numbers.append(at)
        closing = partner.get(at, at)
        at = (closing if closing > at else at) + 1
    return numbers


def params(lexed: Lexed, head: Head) -> tuple[Param, ...]:
    """Return the parameters of a head; `(void)` and `()` have none."""
    ranges = split_commas(lexed, head.opening + 1, head.closing)
    found = tuple(param(lexed, first, last) for first, last in ranges if first < last)
    return () if len(found) == 1 and found[0].type == "void" and not found[0].name else found


def param(lexed: Lexed, first: int, last: int) -> Param:
    """Return the parameter that the tokens numbered [first, last) declare."""
    name = declared_name(lexed, first, last)
    words = [i for i in undecorated(lexed, first, last) if i != name]
    span = lexed.span(first, last)
    return Param(
        lexed.text[span.start : span.end],
        decode(lexed.texts[name]) if name is not None else "",
        spell([lexed.texts[i] for i in words]),
    )


def undecorated(lexed: Lexed, first: int, last: int) -> list[int]:
    """Return the numbers of the tokens in [first, last) that are not attributes."""
    texts, partner = lexed.texts, lexed.brackets.partner
    kept = []
    at = first
    while at < last:
        if ATTRIBUTE.match(texts[at]) and at + 1 < last and texts[at + 1] == b"(":
            at = max(partner.get(at + 1, at + 1), at + 1)
        elif not (TRAILING_WORD.match(texts[at]) and last - first > 1):
            kept.append(at)
        at += 1
    return kept


def declared_name(lexed: Lexed, first: int, last: int) -> int | None:
    """Return the number of the token that names what one declarator declares, None if it is unnamed."""
    texts, partner = lexed.texts, lexed.brackets.partner
    items = outline(lexed, first, last)
    words: list[int] = []
    for at, number in enumerate(items):
        token = texts[number]
        if token in (b"=", b":"):
            break
        after = items[at + 1] if at + 1 < len(items) else last
        if token == b"(" and number in partner:
            if texts[number + 1] == b"*" and not (at and texts[items[at - 1]] in OPERATORS):
                inner = [
                    i for i in range(number + 1, partner[number]) if is_word(texts[i]) and texts[i] not in QUALIFIERS
                ]
                return inner[0] if inner else None
            continue
        if not is_word(token) or token in QUALIFIERS or token in STORAGE_WORDS or token in OPERATORS:
            continue
        if after < last and texts[after] == b"(" and texts[after + 1] != b"*" and ATTRIBUTE.match(token):
            continue
        words.append(number)
    while words and TRAILING_WORD.match(texts[words[-1]]) and len(words) > 1:
        words.pop()
    if not words or texts[words[-1]] in TYPE_WORDS:
        return None
    starred = [i for i in items if texts[i] == b"*"]
    if len(words) == 1:
        typed = bool(starred and starred[-1] < words[0]) or any(texts[i] in OPERATORS for i in items if i < words[0])
        return words[0] if typed else None
    if texts[words[-2]] in (b"struct", b"union", b"enum"):
        return None
    return words[-1]


def spell(words: Sequence[bytes]) -> str:
    """Write the tokens of a type in kernel style: `const struct foo **`, `int (*)(int, char *)`."""
    text = ""
    for raw in words:
        word = decode(raw)
        if (
            not text
            or text[-1] in "(["
            or word in (")", "]", ",")
            or (word == "*" and text[-1] == "*")
            or (word in ("(", "[") and text[-1] in ")*]")
        ):
            text += word
        else:
            text += " " + word
    return text


def returned_type(lexed: Lexed, items: Sequence[int], head: Head) -> str:
    """Return the type that a head returns, without storage classes and attributes."""
    texts = lexed.texts
    words: list[bytes] = []
    based = False
    before = [i for i in items if i < head.name and texts[i] not in (b"(", b")")]
    for at in range(len(before) - 1, -1, -1):
        token = texts[before[at]]
        if token == b"*" or token in QUALIFIERS:
            words.append(token)
        elif token in TYPE_WORDS:
            if based and token not in (b"struct", b"union", b"enum") and words[-1] not in TYPE_WORDS | QUALIFIERS:
                break
            words.append(token)
            based = True
        elif (
            is_word(token)
            and token not in STORAGE_WORDS
            and token not in OPERATORS
            and not based
            and not ATTRIBUTE.match(token)
        ):
            words.append(token)
            based = True
    words.reverse()
    return spell(words)
