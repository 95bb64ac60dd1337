"""Show the cover letter as it would be posted, or edit it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..draft.covers import SIDES, Cover, Letter, rewritten
from ..draft.range import Range
from ..draft.record import need_draft
from ..draft.write import keep_covers, workshop
from ..errors import UserError
from ..git.commits import author_of
from ..git.editor import editor
from ..git.merge import merge_text, unresolved
from ..progress import shown
from ..run import talk
from ..series.render import checked_message
from ..turns import Turn
from .b4 import take_back, turn
from .letter import contradicting, letter_of, name_of
from .session import Session
from .subject import add_tree, select

EXAMPLES = (
    "patchbot cover",
    "patchbot cover --tree net-next --edit",
)
EXITS = {2: "yours to fix; a conflict with what you wrote, too"}
HELP = """\
# This is the cover letter of {posting} v{version}; its first line is the subject. What you change is kept and merged
# with what is generated later; lines with # are left out. Shortlog, diffstat and base-commit follow it in the mail.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "of what goes to this tree")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--edit", action="store_true", help="edit it in the editor that git would start, and keep that with the draft"
    )
    what.add_argument("--discard-edits", action="store_true", help="drop what you wrote: the generated letter again")


def execute(session: Session, *, tree: str | None, edit: bool, discard_edits: bool) -> int:
    """Run the command."""
    session.insist(author=True, steps=True)
    if edit or discard_edits:
        with turn(session, True):
            take_back(session)
    series = select(session, session.args.campaign, tree)
    if series.draft is None:
        raise UserError("cover takes a campaign, not a range of commits")
    name = name_of(series)
    if discard_edits:
        store(session, name, need_draft(session.repo, session.campaign.name).record, Cover())
    with shown(session.err):
        letter, version = letter_of(session, series)
    if edit:
        edited = edit_letter(session, series, letter, version)
        letter = edited or letter
    document = {"campaign": session.campaign.name, "posting": name, "version": version, "text": letter.text}
    if not session.emit(document | {"conflict": letter.conflict}) and not (edit or discard_edits):
        session.out.say(letter.text.rstrip("\n"))
    if letter.conflict:
        raise contradicting(session, series)
    return 0


def edit_letter(session: Session, series: Range, letter: Letter, version: int) -> Letter | None:
    """Let a person edit a letter and keep it; return it, None if they left it as it was."""
    draft, name = need_draft(session.repo, session.campaign.name), name_of(series)
    file = session.work / "covers" / f"{session.campaign.name}.{name}.txt"
    before = letter.text.strip("\n") + "\n"
    told = f"{before}\n{HELP.format(posting=name, version=version)}".encode("utf-8", "surrogateescape")
    begun = file.with_suffix(".begun")
    if file.exists() and begun.exists():
        session.say(f"note: this is your text of last time, which was not stored: {file}")
        file.write_bytes(merge_text(begun.read_bytes(), told, file.read_bytes(), SIDES)[0])
    else:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(told)
    begun.write_bytes(told)
    text = edit_file(file)
    if not text.strip() or text == before:
        forget(file, begun)
        session.show(f"the cover letter of {name} is as it was")
        return None
    if unresolved(text.encode("utf-8", "surrogateescape")):
        raise UserError(f"{file} still holds conflict markers; edit it once more with --edit")
    checked = checked_message(str(file), text)
    kept = rewritten(draft.covers.get(name, Cover()), letter, checked)
    store(session, name, draft.record, kept)
    forget(file, begun)
    session.show(f"the cover letter of {name} is kept with the draft" if kept else f"{name} has the generated letter")
    return Letter(checked, False, letter.generated, letter.lists)


def forget(*files: Path) -> None:
    """Delete the files of an edit that is settled."""
    for file in files:
        file.unlink(missing_ok=True)


def edit_file(file: Path) -> str:
    """Let a person edit a file, and return its text without lines with #; raise UserError if the editor fails."""
    words = editor()
    if code := talk(["sh", "-c", f'{words} "$@"', words, file]):
        raise UserError(f"the editor ({words}) ended with exit code {code}; nothing was stored, your text is in {file}")
    rows = file.read_text("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    for number, row in enumerate(rows, 1):
        if any("\udc80" <= char <= "\udcff" for char in row):
            raise UserError(f"{file}:{number}: this line is not UTF-8; nothing was stored, save the file in UTF-8")
    kept = "\n".join(row.rstrip() for row in rows if not row.startswith("#")).strip("\n")
    return f"{kept}\n" if kept else ""


def store(session: Session, name: str, record: str, cover: Cover) -> None:
    """Keep what a person wrote of a letter with the draft; raise UserError if the draft, `record`, moved meanwhile."""
    campaign = session.campaign.name
    author = author_of(session.repo, session.config.author)
    with Turn(session.work / f"{campaign}.lock", f"the draft of {campaign}", session.say):
        draft = need_draft(session.repo, campaign)
        if draft.record != record:
            raise UserError(f"the draft of {campaign} moved meanwhile; nothing was stored, do it once more")
        covers = {**draft.covers, name: cover}
        if covers != draft.covers and (cover or name in draft.covers):
            with workshop(session.repo) as scratch:
                keep_covers(session.repo, scratch, author, draft, covers)
