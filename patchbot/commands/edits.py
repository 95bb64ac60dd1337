"""Show what you changed on the draft by hand."""

from __future__ import annotations

import difflib
from typing import Any

from ..draft.amendments import Extra, FileEdit, Handmade, PatchEdit
from ..draft.matching import parse_choices
from ..draft.rebased import rebased, start_of
from ..draft.recognise import recognise
from ..draft.record import branch, need_draft
from ..errors import UserError
from ..model import Entry
from ..terminal import cell
from .session import Session
from .show import edit_lines

EXAMPLES = ("patchbot edits",)


def execute(session: Session, *, match: list[str]) -> int:
    """Run the command."""
    name = session.config.campaign(session.args.campaign).name
    draft = need_draft(session.repo, name)
    tip = session.repo.ref(branch(name)) or draft.tip
    chosen = parse_choices(match, session.repo.resolve, [p.id for p in draft.generated])
    start = start_of(session.repo, draft, tip, session.upstream)
    if start == tip:
        raise UserError(rebased(session.repo, draft, start, tip))
    seen = recognise(session.repo, draft, tip, chosen, start)
    made = seen.handmade
    rows: list[dict[str, Any]] = [{**row, "diff": diff_of(made, row)} for row in made.rows()]
    commits = {id_: sha for sha, id_ in seen.ids.items()}
    document = {"campaign": name, "tip": tip, "stored": tip == draft.tip, "edits": rows, "commits": commits}
    if session.emit(document):
        return 0
    if start != draft.base:
        session.say(f"note: {rebased(session.repo, draft, start, tip)}")
    for row in rows:
        (line,) = edit_lines([row])
        session.out.print(cell(line, "bold"), soft_wrap=True)
        session.out.diff(("  " + text, text[:1]) for text in row["diff"].removesuffix("\n").split("\n") if row["diff"])
    if not rows:
        session.show(f"nothing on {branch(name)} was changed by hand")
    return 0


def diff_of(made: Handmade, row: dict[str, Any]) -> str:
    """Return an edit as a diff from the generated text to the person's, an order as a list."""
    if row["kind"] == "order":
        return "".join(f"{number:3} {key}\n" for number, key in enumerate(made.sequence, 1))
    if row["kind"] == "extra":
        return files_diff(next(e for e in made.extras if e.key == row["patch"]))
    edit = made.patches.get(row["patch"] or "")
    if edit and edit.message and row["kind"] == "message":
        return lines_diff("generated", "edited", edit.message.generated, edit.message.edited)
    return files_diff(edit) if edit and row["kind"] == "code" else ""


def files_diff(edit: PatchEdit | Extra) -> str:
    """Return the changed files of an edit as one diff."""
    return "".join(file_diff(f) for f in edit.files)


def file_diff(file: FileEdit) -> str:
    """Return one changed file as a diff, with its mode and whether it is new or deleted."""
    old, new = ("/dev/null" if e is None else f"{s}/{file.path}" for s, e in (("a", file.before), ("b", file.after)))
    modes = ""
    if file.before and file.after and file.before.mode != file.after.mode:
        modes = f"mode {file.before.mode} -> {file.after.mode} {file.path}\n"
    if file.before == file.after:
        return f"{file.path}: as generated, but a person resolved a conflict with what lies below\n"
    return modes + lines_diff(old, new, text(file.before), text(file.after))


def text(entry: Entry | None) -> str:
    """Return a file's text."""
    return entry.data.decode("utf-8", "replace") if entry else ""


def lines_diff(old: str, new: str, before: str, after: str) -> str:
    """Return a unified diff."""
    rows = difflib.unified_diff(before.split("\n"), after.split("\n"), old, new, lineterm="")
    return "".join(f"{row}\n" for row in rows)
