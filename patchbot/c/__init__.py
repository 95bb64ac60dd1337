"""Find and edit C at structural anchors: tokens, brackets and a syntax tree over the bytes of the kernel."""

from .declarations import Param
from .query import Function, function, functions, prototypes
from .source import Source, parse
from .tokens import Directive, Span, Token, tokens

__all__ = [
    "Directive",
    "Function",
    "Param",
    "Source",
    "Span",
    "Token",
    "function",
    "functions",
    "parse",
    "prototypes",
    "tokens",
]
