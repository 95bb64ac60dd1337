"""Show the versions, what is stale, what moved upstream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .. import __version__
from ..draft import conflicts
from ..draft.amendments import Handmade
from ..draft.produce import maker, recorded_maker, switched_off
from ..draft.rebased import rebased, start_of
from ..draft.recognise import recognise
from ..draft.record import Draft, branch, branch_gone, read_draft
from ..draft.taken import There, there
from ..draft.versions import versions
from ..draft.write import site_changes, site_lines
from ..errors import UserError
from ..progress import shown
from ..series.campaign import active_steps
from ..series.render import plural
from .b4 import untaken
from .letter import contradictions, told_contradictions
from .session import Session
from .show import edit_lines
from .subject import branch_standing, report_of
from .trees import about_postings, burn_down, elsewhere, show_postings

EXAMPLES = (
    "patchbot status",
    "patchbot status --json",
)


def execute(session: Session) -> int:
    """Run the command."""
    name = session.config.campaign(session.args.campaign).name
    session.repo.hold_still()
    draft = read_draft(session.repo, name)
    frozen = versions(session.repo, name)
    if draft is None and not frozen:
        raise UserError(f"there is no series of {name} in {session.repo.git_dir}; make one: patchbot generate {name}")
    document: dict[str, Any] = {
        "campaign": name,
        "versions": [
            {
                "version": v.number,
                "tip": v.draft.tip,
                "kernel": asdict(v.draft.document.kernel),
                "patches": len(v.draft.patches),
                "message_id": v.message_id,
                "worst": (v.draft.document.results or {}).get("worst"),
                "unchecked": unchecked(session, v.draft.document.results or {}),
            }
            for v in frozen
        ],
        "draft": None,
        "upstream": None,
        "stale": [],
        "postings": [],
        "done": [],
        "elsewhere": [],
        "burn_down": [],
        "letters": [],
        "b4": [],
        "most": session.campaign.most,
        "target": draft.document.target if draft else "",
    }
    if draft is not None:
        with shown(session.err):
            upstream, there = about_upstream(session, draft)
            document |= about_draft(session, name, draft, upstream)
            document["postings"] = about_postings(session, draft, there)
            document["done"] = [asdict(row) for row in draft.document.done or ()]
            document["elsewhere"] = elsewhere(session, draft.document)
            document["letters"] = contradictions(session)
            document["b4"] = [{"posting": name, "message": text} for name, text in untaken(session).items()]
            document["burn_down"] = burn_down(frozen, draft, upstream["rev"], there)
    if not session.emit(document):
        show(session, document)
    return 0


def unchecked(session: Session, results: Mapping[str, Any]) -> list[str]:
    """Return the configured checks that a version's results lack."""
    ran = {row["check"] for row in results.get("results", ())}
    return [check for check in session.config.checks.run if check not in ran]


def about_draft(session: Session, name: str, draft: Draft, upstream: dict[str, Any]) -> dict[str, Any]:
    """Return the keys about the draft: where it is, what is by hand, upstream, what is stale."""
    tip = session.repo.ref(branch(name)) or draft.tip
    start = start_of(session.repo, draft, tip, session.upstream)
    unclear = ""
    try:
        made = recognise(session.repo, draft, tip, None, start).handmade
    except UserError as error:
        made, unclear = Handmade(), str(error)
    waiting = conflicts.read_pending(session.work, name)
    return {
        "draft": {
            "version": draft.version,
            "tip": tip,
            "kernel": asdict(draft.document.kernel),
            "patches": len(draft.patches),
            "edits": made.rows(),
            "unclear": unclear,
            "stored": tip == draft.tip,
            "rebased": start if start != draft.base else None,
            "trailers": sum(len(rows) for id_, rows in draft.trailers.items() if id_ in draft.commits),
            "conflict": [str(file) for file in waiting.files] if waiting else [],
            "made": hosts(report_of(session, name, tip)),
        },
        "upstream": upstream,
        "stale": stale(session, draft, tip, start, upstream, clear=not unclear),
    }


def hosts(report: dict[str, Any] | None) -> dict[str, int]:
    """Return how many results of a report were made on which host of a cluster; "" is this machine."""
    rows = report["results"] if report else ()
    return dict(sorted(Counter(row["where"].rpartition(" ")[0] for row in rows).items()))


def about_upstream(session: Session, draft: Draft) -> tuple[dict[str, Any], There | None]:
    """Return how far the configured base moved since the draft, which sites are new or gone there, and what it has.

    `converted` says that nothing is left to change there: it is the series itself, or has taken it in; `ahead` that the
    series could follow it. `unknown` is why nothing is known of a base that nobody asked for by --base.
    """
    rev = session.args.base or session.config.kernel_base or "HEAD"
    try:
        found, has = moved(session, draft, rev, session.base)
        return {"unknown": None, **found}, has
    except UserError as error:
        if session.args.base:
            raise
        nothing = {"rev": rev, "commit": None, "moved": False, "converted": False, "ahead": False}
        return {
            "unknown": str(error),
            **nothing,
            "related": False,
            "commits": None,
            "files": None,
            **site_changes({}, {}),
        }, None


def moved(session: Session, draft: Draft, rev: str, base: str) -> tuple[dict[str, Any], There | None]:
    """Return how far `base`, which is what `rev` names, is from the draft, and what it has of it if it is another."""
    repo = session.repo
    found: dict[str, Any] = {"rev": rev, "commit": base, "moved": base != draft.base, "converted": False}
    if base == draft.base:
        return found | {"ahead": False, "related": True, "commits": 0, "files": 0, **site_changes({}, {})}, None
    here = repo.has(f"{draft.base}^{{tree}}")
    common = repo.merge_base(draft.base, base) if here else None
    related = common is not None
    # Who put the series elsewhere than on the configured base is not sent back; HEAD is only a guess.
    guess = not session.args.base and not session.config.kernel_base
    left = base == draft.document.beside and not session.args.base
    found["ahead"] = common == draft.base or not (guess or left or common == base)
    found["related"] = related
    found["commits"] = repo.count(draft.base, base) if related else None
    found["files"] = len(repo.changed_paths(draft.base, base)) if here else None
    sites = session.campaign.audit(session.tree(base), session.campaign_config).fates()
    has = there(repo, draft.document, base, sites, rev)
    if not any(fate in ("change", "refuse") for fate, _ in sites.values()):
        return found | {"converted": True, **site_changes({}, {})}, has
    return found | site_changes(draft.document.sites, sites), has


def stale(session: Session, draft: Draft, tip: str, start: str, upstream: dict[str, Any], *, clear: bool) -> list[str]:
    """Return what no longer fits together, and the command that fixes it.

    If it is not `clear` what was done by hand, that must be fixed first.
    """
    if start != draft.base:
        return [rebased(session.repo, draft, start, tip)]
    name, found = draft.campaign, []
    waits = not clear or conflicts.read_pending(session.work, name) is not None
    if upstream["ahead"] and not upstream["converted"] and not waits:
        found.append(f"the base is not {upstream['rev']}: patchbot regenerate {name} --onto {upstream['rev']}")
    if tip != draft.tip and not waits:
        found.append(f"commits by hand are not stored yet: patchbot regenerate {name} --onto {draft.base[:12]}")
    again = f"patchbot regenerate {name} --onto {draft.base[:12]}"
    if draft.document.patchbot != __version__:
        found.append(f"the draft is of patchbot {draft.document.patchbot}, this is {__version__}: {again}")
    elif recorded_maker(session.repo, draft.record) not in (None, maker(session.campaign, session.campaign_config)):
        found.append(f"the configuration or patchbot itself changed since the draft was made: {again}")
    if off := switched_off(draft, session.campaign, active_steps(session.campaign, session.campaign_config)):
        found.append(off)
    if session.repo.ref(branch(name)) is None:
        found.append(branch_gone(draft))
    return found + [finding.message for finding in branch_standing(session, draft, tip)]


def show(session: Session, document: dict[str, Any]) -> None:
    """Print versions, the draft and what is stale."""
    for row in document["versions"]:
        posted = f", posted as {row['message_id']}" if row["message_id"] else ""
        worst = f", checks {row['worst']}" if row["worst"] else ""
        worst += f", {' and '.join(row['unchecked'])} not run" if row["worst"] and row["unchecked"] else ""
        place = f"{row['tip'][:12]} on {row['kernel']['describe']}"
        session.show(f"v{row['version']}: {place}, {plural(row['patches'], 'patch', 'patches')}{worst}{posted}")
    draft, upstream = document["draft"], document["upstream"]
    if draft is None:
        return
    place = f"{draft['tip'][:12]} on {draft['kernel']['describe']}"
    edits = "edits by hand unclear" if draft["unclear"] else f"{plural(len(draft['edits']), 'edit')} by hand"
    session.show(
        f"draft (v{draft['version']}): {place}, {plural(draft['patches'], 'patch', 'patches')},"
        f" {edits}, {plural(draft['trailers'], 'tag')}"
    )
    session.show(*(f"    {line}" for line in edit_lines(draft["edits"])))
    if any(draft["made"]):
        made = [f"{count} {f'on {host}' if host else 'here'}" for host, count in draft["made"].items()]
        session.show(f"    results of checks: {', '.join(made)}")
    if draft["unclear"]:
        session.show(draft["unclear"])
    if draft["conflict"]:
        name = document["campaign"]
        session.show(
            f"a regeneration waits for you: edit these, then: patchbot regenerate {name} --continue;"
            " or give it up: --abort"
        )
    session.show(*(f"    waits for you: {file}" for file in draft["conflict"]))
    session.show(distance(upstream, draft["kernel"]["base"]), *(f"    {line}" for line in site_lines(upstream)))
    show_postings(session, document)
    session.show(*(f"stale: {line}" for line in document["stale"]), *told_contradictions(document["letters"]))
    session.show(*(row["message"] for row in document["b4"]))


def distance(upstream: dict[str, Any], base: str) -> str:
    """Return in words how far upstream is from the draft's base."""
    rev = upstream["rev"]
    if upstream["unknown"]:
        return f"unknown how far upstream has moved: {upstream['unknown']}; --base REV or kernel.base names another"
    if not upstream["moved"]:
        return f"{rev} is the draft's base"
    where = f"{rev} is {upstream['commit'][:12]}"
    if upstream["converted"]:
        return (
            f"{where}, and nothing is left to change there: it holds the series already;"
            " set kernel.base in patchbot.toml, or --base REV, to what the series is for"
        )
    if upstream["files"] is None:
        return f"{where}: unknown how far, as the draft's base {base[:12]} is not in this clone"
    far = f"{plural(upstream['commits'], 'commit')} further" if upstream["commits"] else "an unrelated history"
    if upstream["related"] and not upstream["commits"]:
        far = "the draft's base is further"
    return f"{where}: {far}, {plural(upstream['files'], 'file differs', 'files differ')}"
