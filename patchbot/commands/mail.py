"""Write the files for git send-email; nothing is sent."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..draft.lines import posting_versions
from ..draft.range import Range, postings_of
from ..draft.record import need_draft, version_refs
from ..errors import UserError
from ..git.repo import outside
from ..mail import rules
from ..mail.compose import Outbox
from ..mail.corrections import Corrections
from ..mail.sending import kept_off
from ..model import Finding, Status
from ..progress import count, shown, tick, within
from ..series.campaign import Campaign
from ..series.render import plural
from ..series.tree import Tree
from ..shapes import plain
from ..terminal import cell, some
from . import b4 as for_b4
from .letter import Wanted, compose, corrections, name_of
from .session import Session
from .subject import add_tree, select, standing
from .trees import crowding

EXAMPLES = (
    "patchbot mail -o /tmp/v1",
    "patchbot mail -o /tmp/v1 --signoff --no-rfc",
    "patchbot mail --tree net-next",
    "patchbot mail --tree net-next --b4",
)
EXITS = {1: "something says FAIL: do not send these files"}
#: A tag with which a maintainer lets a patch go through another tree.
ACK = re.compile(r"(?:Acked|Reviewed)-by:", re.I)
#: What is to be said of mails, by `group_of`.
GROUPS = {"stops": "What stops you", "decide": "What to decide", "know": "What to know"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "what goes to this tree, from its own branch")
    parser.add_argument("--all", action="store_true", dest="every", help="what goes to each tree, a folder for each")
    parser.add_argument(
        "-o",
        dest="output",
        metavar="DIR",
        help="the folder to write to (default: out/v<N>; in a work tree, <its name>-mails/<campaign>-v<N> beside it)",
    )
    parser.add_argument(
        "--rfc",
        action=argparse.BooleanOptionalAction,
        help="write RFC into the subjects, or not (default: `rfc` in patchbot.toml, else in version 1 only)",
    )
    parser.add_argument(
        "--range-diff",
        action=argparse.BooleanOptionalAction,
        help="put the range-diff with the last version into the first mail, or not (default: `range_diff` in"
        " patchbot.toml, else yes)",
    )
    parser.add_argument(
        "--b4",
        action="store_true",
        help="write no files: leave the posting on the branch b4/<campaign>-<tree>, for b4 to manage and send",
    )
    parser.add_argument("--signoff", action="store_true", help="add your Signed-off-by (default: nobody's)")
    parser.add_argument("--date", metavar="DATE", help="the date of the mails (default: that of each commit)")


def execute(
    session: Session,
    *,
    tree: str | None,
    every: bool,
    output: str | None,
    rfc: bool | None,
    range_diff: bool | None,
    b4: bool,
    signoff: bool,
    date: str | None,
) -> int:
    """Run the command."""
    session.insist(author=True, steps=True)
    what = session.args.campaign
    if what and ".." in what:
        raise UserError("mail takes a campaign, not a range of commits")
    if every and tree is not None:
        raise UserError("--tree is one posting, --all is each of them: give one of the two")
    for option, value in (("-o", output), ("--date", date), ("--range-diff", range_diff)):
        if b4 and value:
            raise UserError(f"--b4 leaves a branch and writes no mails, so {option} means nothing with it")
    if session.args.update_checkout and not b4:
        raise UserError("--update-checkout is for --b4: mails move no branch")
    wanted = Wanted(rfc, range_diff, signoff, date)
    with for_b4.turn(session, b4):
        if b4:
            for_b4.take_back(session, tell=False)
            tree = tree if every or tree else for_b4.home_posting(session)
        return post(session, tree, every, output, wanted, b4)


def post(session: Session, tree: str | None, every: bool, output: str | None, wanted: Wanted, b4: bool) -> int:
    """Compose the mails of a posting, or of each, and write them, or leave them on branches for b4."""
    what = session.args.campaign
    session.repo.hold_still()
    names: list[str | None] = [tree]
    draft = need_draft(session.repo, session.config.campaign(what).name)
    if every and draft.document.postings:
        names = [row.name for row in postings_of(session.repo, draft, session.upstream)]
    done, left = [], []
    there = {} if b4 else for_b4.untaken(session)
    with shown(session.err), within("postings" if every else ""):
        for number, name in enumerate(names):
            if every:
                count("postings", number, len(names))
                tick(f"mails for {name or draft.campaign}")
            series = select(session, what, name)
            box, findings = reviewed(session, series, wanted)
            if series.posting:
                findings += crowding(session, draft, series.posting, [n for n in names[:number] if n])
            if line := there.get(name_of(series)):
                findings.append(Finding(Status.WARN, f"The branch {line}", None, None, "B4"))
            done.append((box, findings, series))
        if every:
            count("postings", len(names), len(names))
        folders = [None if b4 else folder_of(session, box, series, output, every) for box, _, series in done]
        for (box, findings, series), folder in zip(done, folders, strict=True):
            if folder:
                box.write(folder)
            else:
                row, said = for_b4.leave(session, series, box, wanted.signoff)
                left.append(row)
                findings += said
    documents = [box.document(folder) for (box, _, _), folder in zip(done, folders, strict=True)]
    document = documents[0] | {
        key: [row for one in documents for row in one[key]] for key in ("series", "rejected", "added", "dropped")
    }
    document |= {"b4": left} if b4 else {}
    document["findings"] = [
        {**plain(finding), "group": group_of(finding), "target": box.posting.target}
        for box, findings, _ in done
        for finding in findings
    ]
    if not session.emit(document):
        for number, ((box, findings, _), folder) in enumerate(zip(done, folders, strict=True)):
            show(session, box, findings, folder)
            if not folder:
                for_b4.tell(session, left[number])
    return 1 if any(row["group"] == "stops" for row in document["findings"]) else 0


def reviewed(session: Session, series: Range, wanted: Wanted) -> tuple[Outbox, list[Finding]]:
    """Return the mails of a series, and what is to be said of them."""
    assert series.draft is not None
    tree = session.tree(series.base)
    box = compose(session, series, tree, wanted)
    posted = {mail.commit for mail in box.mails if mail.commit}
    touched = sorted({f for known in series.known if known and known.commit in posted for f in known.files})
    profile = rules.profile_of(session.repo, series.foundation, box.posting.target, touched)
    findings = rules.review(box, profile)
    if series.posting and series.posting.needs:
        many = plural(series.posting.needs, "patch", "patches")
        text = f"These patches need {many} of the series that are posted elsewhere; they wait until the tree has them."
        findings.append(Finding(Status.SKIP, text, None, None, "NEEDS"))
    if len(features := optional_features(session.campaign, series)) > 1:
        text = f"The patches of {len(features)} optional steps are posted at once: {', '.join(features)}."
        findings.append(Finding(Status.WARN, f"{text} One at a time is easier to review.", None, None, "FEATURES"))
    if off := kept_off(box.posting.settings):
        findings.append(Finding(Status.WARN, off, None, None, "R1"))
    if series.posting is None and box.posting.version <= (number := last_alone(session, series)):
        text = f"This was posted as v{number} by itself: patchbot mail --tree {name_of(series)} has what comes next."
        findings.append(Finding(Status.WARN, text, None, None, "VERSION"))
    elif sent := sent_as(session, series, box.posting.version):
        text = f"Nothing changed since v{box.posting.version} was posted as <{sent}>: these are the same patches again."
        findings.append(Finding(Status.WARN, text, None, None, "POSTED"))
    findings += missing_acks(session, series, tree, box)
    findings += doubtful_rules(session, corrections(session, tree, box.posting.target), series, box)
    return box, findings + standing(session, series.draft.campaign, series.tip, posted, series.posting)


def optional_features(campaign: Campaign, series: Range) -> list[str]:
    """Return the optional steps of which patches are posted; those that follow another are a part of it."""
    made = {row.step for row in series.known if row}
    on = (step.follows or step.name for step in campaign.steps if step.optional and step.name in made)
    return list(dict.fromkeys(on))


def folder_of(session: Session, box: Outbox, series: Range, output: str | None, every: bool) -> Path:
    """Return where the mails of a posting go."""
    place = f"{series.posting.name}-" if series.posting else ""
    folder = session.cwd / output if output else default_folder(session, f"{place}v{box.posting.version}")
    return folder / series.posting.name if every and output and series.posting else folder


def default_folder(session: Session, what: str) -> Path:
    """Return where mails go that nobody said a folder for: out/v<N> here, beside a work tree rather than in it."""
    if there := outside(session.cwd):
        above, name = there
        if not os.access(above, os.W_OK | os.X_OK):
            raise UserError(f"{session.cwd} is in a work tree and {above} cannot be written; name a folder with -o DIR")
        return above / f"{name}-mails" / f"{session.campaign_config.name}-{what}"
    return session.cwd / "out" / what


def group_of(finding: Finding) -> str:
    """Return what a finding is to the person who sends: it `stops` them, is for them to `decide`, or to `know`."""
    return {Status.PASS: "know", Status.SKIP: "decide", Status.WARN: "decide"}.get(finding.status, "stops")


def last_alone(session: Session, series: Range) -> int:
    """Return the last version that the posting which a whole series is mailed as has by itself, 0 for none."""
    assert series.draft is not None
    campaign = series.draft.campaign
    whole = version_refs(session.repo, campaign)
    frozen = posting_versions(session.repo, campaign, name_of(series))
    return max((number for number in frozen if number not in whole), default=0)


def sent_as(session: Session, series: Range, number: int) -> str:
    """Return the Message-ID of the version that a posting has as it is now, "" if that was not posted yet."""
    assert series.draft is not None
    frozen = posting_versions(session.repo, series.draft.campaign, name_of(series)).get(number)
    return (frozen and frozen.document.message_id) or ""


def missing_acks(session: Session, series: Range, tree: Tree, box: Outbox) -> list[Finding]:
    """Ask for the Acks of the owners of other trees, where all patches go through the campaign's tree."""
    config = session.campaign_config
    if config.conversions != "acks" or series.draft is None:
        return []
    posted = {mail.commit for mail in box.mails}
    others = [
        row
        for row in series.known
        if row and row.commit in posted and session.campaign.target_of(tree, config, row.files) != config.target
    ]
    given = {id_ for id_, tags in series.draft.trailers.items() for tag in tags if ACK.match(tag.trailer)}
    lacking = [row.subject for row in others if row.id not in given]
    if not lacking:
        return []
    text = f"{len(lacking)} of {len(others)} patches for other trees lack an Acked-by: {'; '.join(some(lacking, 3))}."
    return [Finding(Status.SKIP, text, None, None, "ACKS")]


def doubtful_rules(session: Session, corrected: Corrections, series: Range, box: Outbox) -> list[Finding]:
    """Return what is to be said of a campaign's rules for recipients; those for other postings are in order."""
    assert series.draft is not None
    whole = need_draft(session.repo, series.draft.campaign) if series.posting else series.draft
    files = sorted({file for row in whole.document.patches for file in row.files})
    everyone = [name for mail in box.mails for name in (*mail.to, *mail.cc)]
    everyone += [str(person) for _, person, _ in box.dropped]
    return corrected.doubts(files, everyone)


def show(session: Session, box: Outbox, findings: Sequence[Finding], folder: Path | None) -> None:
    """Print the files, who gets them, what is to be said in three groups, and the command that sends."""
    if folder:
        rows = [(str(len(mail.to)), str(len(mail.cc)), mail.file) for mail in box.mails]
        session.out.table(("To", "Cc", f"mail in {folder}"), rows)
    said: dict[str, list[str]] = {group: [] for group in GROUPS}
    for finding, files in grouped(findings):
        where = f"{files[0]} and {len(files) - 1} more: " if len(files) > 1 else f"{files[0]}: " if files else ""
        said[group_of(finding)].append(f"  - {where}{finding.message}")
    said["know"] += [f"  - This is not an address and was left out: {text}" for text in box.rejected]
    for target, subjects in box.waiting:
        many = "1 patch waits" if len(subjects) == 1 else f"{len(subjects)} patches wait"
        said["know"] += [f"  - {many} on the branch, for {target or 'another tree'}:"]
        said["know"] += [f"      {subject}" for subject in subjects]
    for group, lines in said.items():
        if lines:
            session.show("")
            session.out.say(cell(f"{GROUPS[group]}:", "bold"))
            session.show(*lines)
    if not folder:
        return
    session.show("\nRead the mails, then send them yourself (with --dry-run it shows who gets them):")
    session.out.say(f"    {box.send_line(folder)}")


def grouped(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    """Return each finding once, with the mails that it is about."""
    files: dict[Finding, list[str]] = {}
    for finding in findings:
        files.setdefault(replace(finding, file=None), []).extend([finding.file] if finding.file else [])
    return list(files.items())
