"""Say everything that is wrong with a base at once, and who changed it there.

Generating stops at what is not understood, at rows that need a decision, and at the first steps whose anchors are not
there. Whoever must mend a campaign for a new base wants to know all of it: when it fails, all of it is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..config import CampaignConfig
from ..errors import ConfigError, PatchbotError, RefusedSites, UserError
from ..git.commits import read_commit
from ..git.repo import Repo
from ..model import Commit, Edit
from .anchors import resolve
from .campaign import Campaign, Context, Step
from .generate import active_steps, refusal
from .tree import Tree

PLACE = re.compile(r"^\s*((?=[^\s:]+?/[^\s:])[^\s:]++|[A-Z][a-z]+file)(?::(\d{1,9}))?: ")
#: A blame of one line of a file with a long history takes seconds; more than this is not worth waiting for.
PATIENCE = 20.0


@contextmanager
def complete(tree: Tree, campaign: Campaign, config: CampaignConfig) -> Iterator[None]:
    """Add to a failure to make a series all else that keeps `tree` from having one."""
    try:
        yield
    except ConfigError:
        raise
    except (UserError, RefusedSites) as error:
        kind, text = everything(tree, campaign, config)
        if not text or text == str(error):
            raise
        raise kind(text) from error


@contextmanager
def explained(tree: Tree, campaign: Campaign, config: CampaignConfig, old: str) -> Iterator[None]:
    """Do as `complete` does, and say which commit of the new base last changed each place."""
    try:
        with complete(tree, campaign, config):
            yield
    except (UserError, RefusedSites) as error:
        text = "\n".join(annotated(tree.repo, tree.commit, old, str(error).split("\n")))
        kind: type[PatchbotError] = RefusedSites if isinstance(error, RefusedSites) else UserError
        raise kind(f"{text}\nthe last version is as it was") from error


def everything(tree: Tree, campaign: Campaign, config: CampaignConfig) -> tuple[type[PatchbotError], str]:
    """Return all that keeps a tree from having a series, "" for nothing, and the kind of error that it is."""
    found: list[str] = []
    kind: type[PatchbotError] = UserError
    try:
        refused = campaign.audit(tree, config).refused
    except UserError as error:
        found.append(f"nothing was written, because this tree has what is not understood:\n{indented(str(error))}")
    else:
        if refused:
            kind = RefusedSites
            found.append(str(refusal(refused)))
    failures = failing(tree, campaign, config)
    if failures:
        kind = UserError  # decisions about the sites would not be enough
    if failures and not found:
        found.append("nothing was written, because this tree lacks what the series needs:")
    return kind, "\n".join([*found, *failures])


def indented(text: str) -> str:
    """Return a text, each line two blanks further in."""
    return "\n".join(f"  {line}" for line in text.split("\n"))


def failing(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[str]:
    """Return what each step says that the tree is not fit for.

    As in a survey, a step meets what the steps before it could do; what failed there may fail here as a consequence.
    """
    found = []
    steps = active_steps(campaign, config)
    names = tuple(s.name for s in steps)
    current = tree
    for step in steps:
        if step.by_owner:
            continue  # its sites are in the audit
        context = Context(current, tree, config, names)
        try:
            edits: Sequence[Edit] = step.codemod(context).edits
        except UserError as error:
            found.append(f"{step.name}: {error}")
            edits = possible(step, context)
        current = current.edit(edits)
    return found


def possible(step: Step, context: Context) -> Sequence[Edit]:
    """Return the edits of those anchors of a step that fit, none if even this cannot be said."""
    try:
        edits, _ = resolve(context.tree, step.anchors(context) if step.anchors is not None else ())
        context.tree.edit(edits)
    except PatchbotError:
        return ()
    return edits


def annotated(repo: Repo, new: str, old: str, lines: Sequence[str]) -> list[str]:
    """Return lines with the commit that last changed the place that each begins with, where history has it."""
    out: list[str] = []
    for line in lines:
        out.append(line)
        match = PLACE.match(line)
        if match:
            commit = last_change(repo, old, new, match[1], int(match[2]) if match[2] else None)
            if commit:
                out.append(f"    last changed by {commit.sha[:12]} ({commit.subject})")
    return out


def last_change(repo: Repo, old: str, new: str, path: str, line: int | None) -> Commit | None:
    """Return the commit of `new` that last changed a file, None where only a root commit (no history) has it.

    With a line, the commit that is to blame for it, if `old` lacks that; deleted files are found too.
    """
    try:
        if line is not None:
            blame = ("-s", "-l", "--root", f"-L{line},{line}", new, "--", path)
            done = repo.look("blame", *blame, check=False, timeout=PATIENCE)
            sha = done.stdout.decode("ascii", "replace").lstrip("^").split(" ", 1)[0]
            known = repo.look("merge-base", "--is-ancestor", sha, old, check=False).returncode == 0
            commit = described(repo, sha) if done.returncode == 0 and not known else None
            if commit:
                return commit
        for span in (f"{old}..{new}", new):
            done = repo.look("log", "-1", "--format=%H", span, "--", path, check=False, timeout=PATIENCE)
            if done.returncode == 0:
                break
        sha = done.stdout.decode().strip()
        return described(repo, sha) if sha else None
    except PatchbotError:
        return None


def described(repo: Repo, sha: str) -> Commit | None:
    """Return a commit, None for one without a parent, which changed nothing but is where history begins."""
    made = read_commit(repo, sha)
    return Commit("", sha, made.parent, made.tree, made.subject) if made.parent else None
