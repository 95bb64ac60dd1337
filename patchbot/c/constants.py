"""Evaluate preprocessor constants, as far as flags need it: bits and what they add up to."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

#: A mask of all 32 flags is no longer than this; text from a tree is not worth more work.
LONGEST = 1000
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*)|//[^\n]*|\\\r?\n", re.DOTALL)
_PIECE = re.compile(r"(?:(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)[uUlL]*\b|(_?BIT\w*)(?=\s*\()|(\w+)|<<|[|()+])\s*")


def constant(text: str, known: Mapping[str, int] = {}) -> int | None:
    """Return the number that `(1 << 7)`, `0x80`, `BIT(7)`, `1 | 2` or `KNOWN | 2` means, None for any other text."""
    text = _COMMENT.sub(" ", text).strip()
    words, at = [], 0
    if len(text) > LONGEST:
        return None
    try:
        while at < len(text):
            match = _PIECE.match(text, at)
            if match is None:
                return None
            number, bit, name = match.groups()
            octal = number and number.isdigit() and number.startswith("0")
            value = int(number, 8 if octal else 0) if number else known[name] if name else None
            words.append("BIT" if bit else match[0].strip() if value is None else str(value))
            at = match.end()
        return _value(ast.parse(" ".join(words), mode="eval").body)
    except (KeyError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> int:
    """Return the value of an expression; raise ValueError for any other form, or if it is too large."""
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _value(left) | _value(right)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left) + _value(right)
        case ast.BinOp(left=left, op=ast.LShift(), right=right) if (by := _value(right)) < 64:
            return _value(left) << by
        case ast.Call(func=ast.Name(), args=[argument]) if (by := _value(argument)) < 64:
            return 1 << by
    raise ValueError("not the constant of a flag")
