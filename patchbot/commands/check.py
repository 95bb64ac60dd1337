"""Run the checks on every patch of the draft or of a range."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import closing

from ..build.options import build_options
from ..build.toolchain import compiler_of
from ..bundle import PACKAGE
from ..checking import report
from ..checking.check import Subject, items
from ..checking.cluster import Cluster, Series
from ..checking.live import Grid
from ..checking.runner import choose, run_checks
from ..checking.store import Results
from ..checking.threads import run_here
from ..checking.waivers import refuse_unknown_steps
from ..errors import MissingTool, UserError
from ..identity import identity
from ..model import Status
from ..progress import above, shown
from ..shapes import plain
from .far import do
from .session import Session, add_cluster, commas, processes
from .subject import add_tree, recorded_as, select, subject

EXAMPLES = (
    "patchbot check",
    "patchbot check --tree net-next",
    "patchbot check --only applies,checkpatch --patches 2-5",
    "patchbot check v7.2..mine",
)
EXITS = {1: "a check failed; with --strict: one is not PASS", 3: "a check ended in ERROR, or patchbot itself failed"}
#: The program that a check needs which compiles.
CC = "gcc"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "only what goes to this tree, on a branch of its own")
    parser.add_argument("--only", metavar="CHECK,..", help="only these checks (default: [checks] run in patchbot.toml)")
    parser.add_argument(
        "--patches", metavar="2-5", help="only these patches, counted from 1; 1,4- is fine too (default: all)"
    )
    parser.add_argument(
        "--jobs",
        type=processes,
        metavar="N",
        help="run so many checks and compilers at once (default: [run] jobs, else as many as there are processors)",
    )
    add_cluster(parser, "the checks")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first FAIL or ERROR (default: run all)")
    parser.add_argument("--strict", action="store_true", help="exit 1 for SKIP and WARN, too")
    parser.add_argument("--full", action="store_true", help="run everything again; no recorded result is used")


def execute(
    session: Session,
    *,
    tree: str | None,
    only: str | None,
    patches: str | None,
    jobs: int | None,
    cluster: str | None,
    insecure: bool,
    strict: bool,
    full: bool,
    fail_fast: bool,
) -> int:
    """Run the command."""
    started = time.monotonic()
    with shown(session.err):
        series = select(session, session.args.campaign, tree)
        if series.edited:
            session.say("note: the branch has commits that patchbot did not make; they are checked, too")
        parts = items(session.repo, series)
        under = subject(session, series.base, parts, jobs or session.config.run.jobs or os.cpu_count() or 1)
        campaign = session.campaign
        refuse_unknown_steps(session.config.checks.waivers, campaign.name, [s.name for s in campaign.steps])
        grid, address = Grid(under.items), session.config.run.cluster if cluster is None else cluster
        there = far(session, under, series.tip, address, insecure) if address else run_here
        with closing(Results(session.work / "results.sqlite")) as store, above(grid):
            results = run_checks(
                under,
                session.config.checks,
                store,
                only=commas(only),
                only_patches=numbers(patches, len(under.items)),
                fail_fast=fail_fast,
                full=full,
                grid=grid,
                execute=there,
            )
            document = report.document(
                results,
                campaign=under.campaign,
                base=under.base,
                tip=series.tip,
                seconds=time.monotonic() - started,
                compiler=compiler(session, commas(only)),
            )
            name = f"report {under.campaign} {recorded_as(series)}"
            store.revise(name, lambda before: report.merged(before, document, session.config.checks.run))
    if not session.emit(document):
        report.show(session.out, under.items, results, limit=0 if session.args.verbose else 5)
    return exit_code([r.status for r in results], strict)


def far(session: Session, under: Subject, tip: str, address: str, insecure: bool) -> Cluster:
    """Return what runs checks on a cluster."""
    remote = session.config.run.remote or str(session.repo.common_dir.resolve())
    config = plain(session.config, os.fspath)
    series = Series(under.items, under.base, tip, under.campaign, config, remote, identity(PACKAGE))
    return Cluster(address, series, do, insecure=insecure)


def compiler(session: Session, only: Sequence[str]) -> str:
    """Return which compiler the checks use, "" if none does or none is there."""
    config = session.config.checks
    if not any(CC in check.needs for check in choose(config, only)):
        return ""
    try:
        *tools, pahole = compiler_of(build_options(config.options.get("build", {}))).versions.split("; ")
    except MissingTool:
        return ""
    return "; ".join([*tools, f"pahole {pahole}"])


def exit_code(statuses: list[Status], strict: bool) -> int:
    """Return 0 up to WARN (with `strict` only for PASS), 1 for a FAIL, 3 for an ERROR."""
    worst = Status.worst(statuses)
    if worst is Status.ERROR:
        return 3
    if worst is Status.FAIL or (strict and worst is not Status.PASS):
        return 1
    return 0


def numbers(text: str | None, most: int) -> frozenset[int] | None:
    """Return the patch numbers that `2-5`, `3` or `1,4-` name, None for all; raise UserError for anything else."""
    if text is None:
        return None
    chosen: set[int] = set()
    for part in commas(text):
        first, dash, last = part.partition("-")
        try:
            low = int(first)
            high = int(last) if last else (most if dash else low)
        except ValueError:
            raise UserError(f"--patches {text}: {part!r} is not a patch number or range such as 2-5") from None
        if not 1 <= low <= high <= most:
            raise UserError(f"--patches {text}: the series has the patches 1 to {most}")
        chosen |= set(range(low, high + 1))
    return frozenset(chosen)
