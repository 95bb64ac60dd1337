"""Find things in C by name and shape: tokens, brackets and statements over the bytes of the kernel."""

from .conditions import conditions_at
from .declarations import Param
from .query import Call, Function, Macro, calls, function, functions, initialisers, macro, macros, prototypes
from .search import (
    Candidate,
    Match,
    PatternError,
    comment_words,
    comments,
    find,
    find_text,
    line_span,
    matches,
    nearest,
    statement_matches,
    statements,
)
from .source import Source, parse
from .statements import unfit
from .tokens import Directive, Span, Token, tokens
from .types import Member, Struct, enum, enums, struct, structs
