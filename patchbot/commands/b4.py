"""Leave postings on branches for b4, and take back what a person did there with it: the letter, tags, what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from ..draft import covers
from ..draft.changeids import home
from ..draft.covers import Cover, Letter, rewritten
from ..draft.lines import posting_versions
from ..draft.range import Range, as_left
from ..draft.record import branch, need_draft
from ..draft.trailers import Given, apply_to_message, canonical, diff_id, identify, measure, survives
from ..draft.versions import freeze, freeze_posting
from ..draft.write import keep_covers, workshop
from ..errors import UserError
from ..git.commits import MOST_COMMITS, Written, author_of, own, read_commit, read_line
from ..git.diffs import diff_of
from ..git.formatpatch import patch_ids
from ..git.merge import Labels, merge_text
from ..git.repo import Repo
from ..git.transaction import publish
from ..mail.compose import Outbox
from ..mail.headers import plain_id
from ..mail.prepared import (
    STRATEGIES,
    TEXTS,
    Found,
    Left,
    b4_ref,
    gained,
    left_names,
    left_ref,
    read_found,
    short,
    strategy_of,
    unlike,
    write_branch,
    write_left,
)
from ..mail.retag import put_tags, read_branch
from ..mail.tracking import Tracked, merged
from ..model import Finding, Identity, Status
from ..series.render import checked_message, listing, plural
from ..turns import Turn
from .letter import letter_of, name_of, version
from .session import Session
from .subject import report_of

SIDES = Labels("generated and edited here", "left for b4", "edited with b4")


def turn(session: Session, wanted: bool) -> AbstractContextManager[object]:
    """Return what has the draft of the campaign alone, if that is wanted."""
    name = session.campaign.name
    return Turn(session.work / f"{name}.lock", f"the draft of {name}", session.say) if wanted else nullcontext()


def home_posting(session: Session) -> str | None:
    """Return the posting that is meant without --tree: that for the campaign's own tree; None if there is just one."""
    document = need_draft(session.repo, session.campaign.name).document
    return home(document) if document.postings else None


def who_commits(session: Session) -> Identity:
    """Return who commits on the branches: b4 takes only commits of git's user.email for its own."""
    name, email = own(session.repo, "name"), own(session.repo, "email")
    return Identity(name, email) if name and email else author_of(session.repo, session.config.author)


def take_back(session: Session, *, tell: bool = True) -> None:
    """Take what a person did with b4 on the branches into the draft, and say so; another change is only named.

    With `tell` off the caller names what is wrong on the branch that it is about.
    """
    repo, name = session.repo, session.campaign.name
    for posting in left_names(repo, name):
        try:
            found = read_found(repo, name, posting)
            wanted = found and (found.tip != found.seen or news(session, posting, found))
            if wanted:
                as_left(repo, need_draft(repo, name), posting, session.say)
        except UserError as error:
            if tell:
                session.say(f"warning: nothing is taken from {short(b4_ref(name, posting))}: {error}")
            continue
        if found and wanted:
            take(session, posting, found)


def news(session: Session, posting: str, found: Found) -> list[str]:
    """Return what a person did with b4 on a branch that the draft does not have yet, in words."""
    known, now = found.left.tracked, found.tracked
    # A single patch has no letter in mails.
    letter = len(found.left.ids) > 1 and (known.text, known.changes) != (now.text, now.changes)
    sent = [f"v{number} as it was sent" for number in unrecorded(session, posting, found)]
    return [*sent, *(["tags"] if found.tags else []), *(["a letter"] if letter else [])]


def untaken(session: Session) -> dict[str, str]:
    """Return {posting: what to say} of the branches that differ from what the draft would leave there."""
    repo, name = session.repo, session.campaign.name
    told: dict[str, str] = {}
    if not (left := left_names(repo, name)):
        return told
    draft = need_draft(repo, name)
    rows = {row.name for row in draft.document.postings or ()}
    for posting in (posting for posting in left if posting in (rows or {home(draft.document)})):
        where, again = short(b4_ref(name, posting)), f"patchbot mail {name}{f' --tree {posting}' if rows else ''} --b4"
        try:
            found = read_found(repo, name, posting)
            what = news(session, posting, found) if found else []
            number = version(session, as_left(repo, draft, posting, session.say))
        except UserError:
            told[posting] = f"{where} was changed by hand, or cannot be read; see what is wrong with: {again}"
            continue
        if what:
            told[posting] = f"{where} has {listing(what)}, which the draft lacks; take that with: {again}"
        elif found and (forced := forced_revision(found)) not in (0, number):
            told[posting] = (
                f"{where} is to be sent as v{forced}, as its revision was set, and this is v{number}: {again}"
            )
    return told


def forced_revision(found: Found) -> int:
    """Return the revision that a person set for what is sent next, 0 for one that b4 or patchbot counts."""
    given: int = found.tracked.series["revision"]
    counted = (found.left.tracked.series["revision"], max(found.tracked.history, default=0) + 1)
    return 0 if given in counted else given


def unrecorded(session: Session, posting: str, found: Found) -> dict[int, str]:
    """Return {version: Message-ID} of what b4 sent and patchbot has not as a version."""
    frozen = max(posting_versions(session.repo, session.campaign.name, posting), default=0)
    return {number: id_ for number, id_ in sorted(found.tracked.history.items()) if number > frozen}


def take(session: Session, posting: str, found: Found) -> None:
    """Take what a person did with b4 on one branch: the letter, what was sent, then the tags that came later."""
    repo, name = session.repo, session.campaign.name
    where = short(b4_ref(name, posting))
    tracked = take_letter(session, where, posting, found)
    take_sent(session, where, posting, found)
    take_tags(session, where, found, found.patches, found.tags)
    left = replace(found.left, tracked=tracked)
    if (left, found.seen) != (found.left, found.tip):
        with workshop(repo) as scratch:
            texts = {key: content for key in TEXTS if (content := repo.read(found.record, key))}
            record = write_left(repo, scratch, who_commits(session), found.tip, left, texts)
            publish(repo, scratch, [(left_ref(name, posting), record, found.record)], left.below)


def take_tags(
    session: Session, where: str, found: Found, patches: Sequence[Written], tags: Mapping[str, Sequence[str]]
) -> None:
    """Put tags that patches on a branch gained on those of the draft, where they are still the same."""
    if not tags:
        return
    repo, draft = session.repo, need_draft(session.repo, session.campaign.name)
    marked = read_branch(repo, draft)
    rows = {row.id: row for row in marked.patches}
    there = dict(zip(found.left.ids, patches, strict=False))
    threshold = session.campaign_config.tag_threshold
    new: dict[str, list[Given]] = {}
    for id_, lines in tags.items():
        commit = there[id_]
        diff = diff_of(repo, commit.parent, commit.sha)
        if id_ in rows:
            now = diff_of(repo, rows[id_].parent, rows[id_].commit)
            verdict = survives(diff_id(diff), diff_id(now), measure(diff, now), threshold)
        had = {identify(given.trailer) for given in marked.seen.tags.get(id_, ())}
        for line in (line for line in map(canonical, lines) if identify(line) not in had):
            if id_ in rows and verdict.kept:
                new.setdefault(id_, []).append(Given(line, "", draft.version, diff_id(diff)))
                session.say(f"from {where}: {line}: {commit.subject}")
            else:
                why = verdict.reason if id_ in rows else "the draft has no such generated patch"
                session.say(f"warning: not taken from {where}: {line}: {commit.subject}: {why}")
    if new:
        with workshop(repo) as scratch:
            put_tags(repo, scratch, author_of(repo, session.config.author), marked, new)


def take_letter(session: Session, where: str, posting: str, found: Found) -> Tracked:
    """Make the letter that a person wrote with b4 that of the posting; return the series with what patchbot knows now.

    What a person wrote of a single patch stays on its branch: its mail has no letter.
    """
    before, now = found.left.tracked, found.tracked
    known = before.text
    if (now.text, now.changes) == (known, before.changes) or len(found.left.ids) < 2:
        return before
    repo, draft = session.repo, need_draft(session.repo, session.campaign.name)
    letter, _ = letter_of(session, as_left(repo, draft, posting, session.say))
    sides = [text.strip("\n").encode("utf-8", "surrogateescape") + b"\n" for text in (known, letter.text, now.text)]
    data, clean = merge_text(sides[0], sides[1], sides[2], SIDES)
    text = data.decode("utf-8", "surrogateescape")
    cover = rewritten(draft.covers.get(posting, Cover()), letter, checked_message(where, text) if clean else text)
    cover = with_changes(cover, letter, now.changes)
    if cover != draft.covers.get(posting, Cover()):
        with workshop(repo) as scratch:
            author = author_of(repo, session.config.author)
            keep_covers(repo, scratch, author, draft, {**draft.covers, posting: cover})
        session.say(f"from {where}: the cover letter")
    if not clean:
        command = f"patchbot cover {draft.campaign}{f' --tree {posting}' if draft.document.postings else ''} --edit"
        session.say(f"warning: the letter of {where} contradicts the one here; settle it with: {command}")
    return replace(before, text=now.text, changes=now.changes)


def with_changes(cover: Cover, letter: Letter, changes: Mapping[str, Sequence[str]]) -> Cover:
    """Return what a person wrote of a posting, with items for its lists of changes."""
    lists = dict(cover.changes)
    for since, items in changes.items():
        made = letter.lists.get(since, "")
        known = lists.get(since, covers.Written(made, made))
        text = known.edited or f"Changes since v{since}:\n\n"
        lists[since] = covers.Written(
            known.generated, text + "".join(f"{item}\n" for item in items if item not in text)
        )
    return Cover(cover.text, dict(sorted(lists.items())))


def take_sent(session: Session, where: str, posting: str, found: Found) -> None:
    """Freeze what b4 sent, with the tags that it had then; raise UserError if that is not the draft, or not known."""
    repo, name = session.repo, session.campaign.name
    for number, given in unrecorded(session, posting, found).items():
        message_id = plain_id(given, f"{where}: the Message-ID of v{number}")
        sent = sent_patches(repo, found, f"sent/{found.tracked.series['change-id']}-v{number}")
        if not isinstance(sent, str):
            take_tags(session, where, found, sent, gained(found.left.ids, found.before, sent))
        draft = need_draft(repo, name)
        series = as_left(repo, draft, posting, session.say)
        if why := sent if isinstance(sent, str) else unsent(session, series, found, sent):
            tree = f" --tree {posting}" if series.posting else ""
            raise UserError(
                f"b4 sent {where} as v{number} ({message_id}), and patchbot does not have that version: {why}\n"
                "if the last command changed the draft, put it back with: patchbot undo; or let the draft as it is be"
                f" that version: patchbot freeze {name}{tree} --message-id {message_id}"
            )
        author, report = author_of(repo, session.config.author), report_of(session, name, series.tip)
        with workshop(repo) as scratch:
            if series.posting:
                freeze_posting(repo, scratch, author, draft, series.posting, message_id, report, number)
            else:
                freeze(repo, scratch, author, draft, number, message_id, report)
        session.say(f"from {where}: v{number} was sent as {message_id}, and is frozen")


def sent_patches(repo: Repo, found: Found, tag: str) -> list[Written] | str:
    """Return the patches that b4 sent, at a tag, or why they are not known."""
    if repo.ref(f"refs/tags/{tag}") is None:
        return f"there is no tag {tag}"
    try:
        return read_line(repo, found.left.below, repo.resolve(f"refs/tags/{tag}"))
    except UserError:
        return f"{tag} is not on {found.left.below[:12]}"


def unsent(session: Session, series: Range, found: Found, sent: Sequence[Written]) -> str:
    """Return why what b4 sent is not what a posting has now, "" if it is."""
    if not series.posting and session.repo.ref(branch(session.campaign.name)) != series.tip:
        return "the branch has commits by hand since"
    now = [read_commit(session.repo, commit.sha) for commit in series.commits[: len(found.left.ids)]]
    other = unlike(sent, now)
    return other and f"it differs from the draft: {other}"


def leave(session: Session, series: Range, box: Outbox, signoff: bool) -> tuple[dict[str, Any], list[Finding]]:
    """Leave a posting on its branch; return what to print of it, and what is to be said."""
    repo, name, posting = session.repo, session.campaign.name, name_of(series)
    ref = b4_ref(name, posting)
    found = read_found(repo, name, posting)
    if found and found.signed and not signoff:
        raise UserError(
            f"you signed off patches on {short(ref)}, and patchbot signs nothing by itself: with --signoff it writes"
            f" the branch with your Signed-off-by; or keep that one: git branch -m {short(ref)} <other name>"
        )
    keys = {row.commit: row.key for row in series.draft.document.extra or ()} if series.draft else {}
    ids = {
        c.sha: row.id if row else keys.get(c.sha, f"+{c.sha[:12]}")
        for c, row in zip(series.commits, series.known, strict=True)
    }
    patches = [read_commit(repo, mail.commit) for mail in box.mails if mail.commit]
    chosen = tuple(ids[commit.sha] for commit in patches)
    sign = [f"Signed-off-by: {box.posting.sender}"] if signoff else []
    patches = [replace(commit, message=apply_to_message(commit.message, sign)) for commit in patches]
    ours = tracked_of(session, series, box, posting)
    theirs = merged(ours, found.left.tracked, found.tracked) if found else ours
    theirs, findings = revised(box, theirs, found)
    if found and len(chosen) < 2 and found.tracked.text != found.left.tracked.text:
        theirs = replace(theirs, text=found.tracked.text)
    left = Left(series.base, series.base, chosen, ours)
    with workshop(repo) as scratch:
        refs = (ref, left_ref(name, posting))
        tip, moved = write_branch(repo, scratch, refs, who_commits(session), left, theirs, patches, box.base, found)
    strategy = strategy_of(repo, ref)
    row = {"branch": short(ref), "tip": tip, "changed": moved, "patches": len(chosen), "strategy": strategy}
    keys_ = ("revision", "change-id", "prefixes")
    row |= {key.replace("-", "_"): theirs.series.get(key) for key in keys_}
    row["describe"] = describing(ref, left_ref(name, posting)) if strategy == STRATEGIES[2] else None
    return row, findings


def tracked_of(session: Session, series: Range, box: Outbox, posting: str) -> Tracked:
    """Return a posting as patchbot would have b4 know it."""
    first, foot = box.mails[0], box.posting.foot
    prefixes = [word for word in box.posting.prefix.split() if word not in ("PATCH", f"v{box.posting.version}")]
    frozen = posting_versions(session.repo, session.campaign.name, posting)
    table: dict[str, Any] = {
        "revision": box.posting.version,
        "change-id": next(line.partition(": ")[2] for line in foot if line.startswith("change-id: ")),
        "prefixes": prefixes,
    }
    if history := {f"v{n}": [v.document.message_id] for n, v in frozen.items() if v.document.message_id}:
        table["history"] = history
    if series.base != box.base:
        table["prerequisites"] = [f"base-commit: {box.base}", *prerequisites(session, box.base, foot)]
    if strategy_of(session.repo, b4_ref(session.campaign.name, posting)) != STRATEGIES[0]:
        table["base-branch"] = series.base
    people = (*(f"To: {who}" for who in first.to), *(f"Cc: {who}" for who in first.cc))
    return Tracked(box.letter.strip("\n") + "\n", people, table)


def prerequisites(session: Session, base: str, foot: Sequence[str]) -> list[str]:
    """Return what a posting on a base needs as b4 keeps it, of the lines below its base-commit.

    A change-id is enough for b4, which ends with a traceback where lore does not have a Message-ID. The patch-ids of
    what b4 sent from here are left out, as it adds them itself.
    """
    repo, tags = session.repo, session.repo.refs("refs/tags/sent")
    rows = [line.removeprefix("prerequisite-") for line in foot if line.startswith("prerequisite-")]
    known = {f"refs/tags/sent/{row.removeprefix('change-id: ').replace(':', '-')}" for row in rows} & set(tags)
    added: set[str] = set()
    for tip in map(repo.resolve, sorted(known)):
        start = repo.merge_base(base, tip)
        if start and repo.count(start, tip) <= MOST_COMMITS:
            added |= {f"patch-id: {id_}" for id_ in patch_ids(session.scratch, start, tip)}
    return [row for row in rows if row not in added and not row.startswith("message-id: ")]


def revised(box: Outbox, tracked: Tracked, found: Found | None) -> tuple[Tracked, list[Finding]]:
    """Return a series with the revision that b4 is to send it as, and what is to be said if `mail` would use another.

    What was sent has its number for ever, and one that a person forced is theirs.
    """
    number = box.posting.version
    revision = number + 1 if number in tracked.history else number
    text = f"v{number} was sent already, so b4 has the next number, v{revision}." if revision > number else ""
    if found and (given := forced_revision(found)) > revision:
        revision = given
        text = f"b4 sends this as v{given}, as its revision was set; it is v{number} here until that is sent."
    findings = [Finding(Status.WARN, text, None, None, "VERSION")] if text else []
    return replace(tracked, series={**tracked.series, "revision": revision}), findings


def describing(ref: str, kept: str) -> str:
    """Return the line that sets the description of a branch, where b4 keeps its cover there."""
    pairs = zip(("description", "b4-tracking"), TEXTS, strict=True)
    return " && ".join(
        f'git config branch.{short(ref)}.{key} "$(git cat-file -p {kept}:{file})"' for key, file in pairs
    )


def tell(session: Session, row: Mapping[str, Any]) -> None:
    """Print what was left for b4, and the commands that a person goes on with."""
    what = f"{plural(row['patches'], 'patch', 'patches')} as v{row['revision']}, change-id {row['change_id']}"
    session.show(f"{row['branch']} {'has' if row['changed'] else 'had already'} {what}")
    session.show("\nGo on with b4; send -o writes the mails, and sends nothing:")
    switch = f"git switch {row['branch']}"
    for line in filter(None, (row["describe"], switch, "b4 prep --show-info", "b4 send -o DIR")):
        session.out.say(f"    {line}")


def outdated(session: Session) -> None:
    """Say which branches for b4 still have what the draft was before."""
    repo, name = session.repo, session.campaign.name
    for posting in left_names(repo, name):
        if repo.ref(b4_ref(name, posting)):
            postings = need_draft(repo, name).document.postings
            tree = f" --tree {posting}" if postings else ""
            session.say(
                f"note: {short(b4_ref(name, posting))} is as it was; bring it up to date with:"
                f" patchbot mail {name}{tree} --b4"
            )
