"""Export what codemods are written with: anchors, finders, edits; campaigns import this module, wherever they live."""

from __future__ import annotations

from .anchors import Alternative, Anchor, AnchorError, Outcome, Report, Text, judged, require, resolve
from .edits import edits_between
from .placing import Editor, either, insert_after, insert_before, insist_fit, lost, replace
from .selectors import (
    Scope,
    Selector,
    comment,
    contains,
    contains_comment,
    exactly,
    first_of,
    in_enum,
    in_file,
    in_function,
    in_initialiser,
    in_prototype,
    in_struct,
    inside,
    last_of,
    macro_definition,
    macro_in,
    member,
    one_of,
    statement,
    tokens_like,
    whole,
    with_comment,
)
