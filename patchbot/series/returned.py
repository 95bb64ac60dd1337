"""Say what is wrong with what a campaign's function returned: that code is a person's, and no type checker read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import shapes
from ..config import CampaignConfig
from ..errors import UserError
from ..model import Edit
from .campaign import Audit, Change, Site
from .tree import Tree

T = TypeVar("T")
FATES = ("change", "keep", "refuse", "left")


def insist(where: str, value: Any, fits: bool, what: str) -> Any:
    """Return a value that a function, named by `where`, returned; raise UserError if it does not fit."""
    if not fits:
        raise UserError(f"{where} must return {what}, not {value!r:.60}")
    return value


def insist_change(where: str, value: Any) -> Change:
    """Return what a codemod returned; raise UserError for what is not a Change of edits that fit their types."""
    change: Change = insist(where, value, isinstance(value, Change), "a Change")
    for edit in listed(where, change.edits, "edits", Edit):
        if not isinstance(edit.new, bytes):
            raise UserError(f"{where}: Edit of {edit.path!r}: new is {edit.new!r:.60}, not bytes")
        fitting(where, edit, f"Edit of {edit.path!r}")
    listed(where, change.remarks, "remarks", str)
    return change


def insist_audit(where: str, value: Any) -> Audit:
    """Return what an audit returned; raise UserError for sites that do not fit, or with a fate that there is not."""
    audit: Audit = insist(where, value, isinstance(value, Audit), "an Audit")
    for site in listed(where, audit.sites, "sites", Site):
        fitting(where, site, f"Site {site.name!r}")
        if site.fate not in FATES:
            raise UserError(f"{where}: {site.where}: the fate of {site.name} is {site.fate!r}, not {', '.join(FATES)}")
    listed(where, audit.warnings, "warnings", str)
    return audit


def audited(where: str, audit: Callable[[Tree, CampaignConfig], Audit]) -> Callable[[Tree, CampaignConfig], Audit]:
    """Return an audit that says what is wrong with what it returns."""
    return lambda tree, config: insist_audit(where, audit(tree, config))


def listed(where: str, values: Any, what: str, kind: type[T]) -> list[T]:
    """Return the values of a field; raise UserError unless they are a tuple or list of a kind."""
    if not isinstance(values, (tuple, list)):
        raise UserError(f"{where}: {what} are {values!r:.60}, not a tuple")
    if wrong := [value for value in values if not isinstance(value, kind)]:
        raise UserError(f"{where}: one of the {what} is {wrong[0]!r:.60}, not {kind.__name__}")
    return list(values)


def fitting(where: str, value: Any, what: str) -> None:
    """Raise UserError where a field of a dataclass holds something of another type."""
    try:
        shapes.convert(vars(value), type(value))
    except shapes.ShapeError as error:
        raise UserError(f"{where}: {what}: {error}") from error
