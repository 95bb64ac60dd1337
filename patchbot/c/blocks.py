"""Say whether statements may be put beside a statement.

The body of an `if` without braces and a statement that shares its line look like any other to whoever only matches
tokens. A line put beside one of these is outside of the `if`, or compiles to something else.
"""

from __future__ import annotations

import tree_sitter

from .source import Source
from .tokens import Span

#: What may hold several statements.
BLOCKS = ("compound_statement", "case_statement", "translation_unit")
_WORDS = {"if_statement": "if", "else_clause": "else", "for_statement": "for", "do_statement": "do"}


def unfit(source: Source, span: Span, *, before: bool = True, after: bool = True) -> str:
    """Return why no lines may be put before and after the statements in a span, "" if they may or it holds none."""
    first, last = source.lexed.token_range(span.start, span.end)
    if first >= last:
        return ""
    inner = source.lexed.span(first, last)
    node = statement_at(source.root, inner)
    if node is None:
        return ""
    parent = node.parent
    if parent is not None and parent.type not in BLOCKS and parent.type != "labeled_statement":
        owner = _WORDS.get(parent.type, "a loop" if "while" in parent.type else parent.type.replace("_", " "))
        return f"it is the whole body of {owner} without braces, so nothing can stand beside it"
    lexed = source.lexed
    line = source.line(inner.start)
    if before and first and source.line(lexed.spans[first - 1][1] - 1) == line:
        return "it does not begin its line"
    if after and last < len(lexed.spans) and source.line(lexed.starts[last]) == source.line(inner.end - 1):
        return "more code follows on its line"
    return ""


def statement_at(root: tree_sitter.Node, span: Span) -> tree_sitter.Node | None:
    """Return the statement or declaration of a function's body that begins and lies in a span, None if none does."""
    node = root.descendant_for_byte_range(span.start, span.start + 1)
    found = None
    while node is not None and node.start_byte == span.start and node.end_byte <= span.end:
        if node.type.endswith("_statement") or node.type == "declaration":
            found = node
        node = node.parent
    return found if found is not None and in_function(found) else None


def in_function(node: tree_sitter.Node) -> bool:
    """Say whether a node stands in the body of a function."""
    above = node.parent
    while above is not None:
        if above.type == "function_definition":
            return True
        above = above.parent
    return False
