"""Mutate one row of every kfunc set of a generated series and see which gate notices: `make mutants`.

A gate that was never seen to fail proves nothing. Each set of the base tree gets one mutant, by an operator that a hash
of the seed and the set's name picks, and the mutant is judged twice: by the check `btf`, and by a build of the same
object with CONFIG_DEBUG_INFO_BTF off, as an allmodconfig build has it. Mutants of different files share a commit. Needs
a draft: run `patchbot generate` first.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from patchbot.campaigns.kfunc_flags.sites.nouns import KfuncSet, Row
from patchbot.campaigns.kfunc_flags.sites.sets import read_sets
from patchbot.checking.check import Item, Subject, items
from patchbot.checking.runner import run_checks
from patchbot.checking.store import Results
from patchbot.commands.session import Given, Session
from patchbot.commands.subject import select, subject
from patchbot.draft.range import Range
from patchbot.errors import UserError
from patchbot.git.commits import author_of
from patchbot.git.fastimport import NewCommit
from patchbot.model import REGULAR, Entry, Identity, Result, Status

NOBODY = Identity("Mutant", "mutant@example.org")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One changed row: the set, the operator, what it did in words, and the whole new text of the file."""

    set: str
    file: str
    operator: str
    what: str
    text: bytes


@dataclasses.dataclass(frozen=True)
class Site:
    """A set at the tip, with the rows of the same set at the base, and the sets that each kfunc is in."""

    found: KfuncSet
    text: bytes
    rows: tuple[Row, ...]
    before: Mapping[str, Row]
    before_text: bytes
    sets_of: Mapping[str, int]


def written(row: Row, flags: Sequence[str], arguments: Sequence[Sequence[str]]) -> bytes:
    """Return a row in words."""
    words = [" | ".join(names) or "0" for names in (flags, *arguments)]
    macro = "BTF_KFUNC(" if arguments else "BTF_ID_FLAGS(func, "
    if row.macro == "BPF_KFUNC":
        macro = f"BPF_KFUNC({row.set}, "
    return f"{macro}{', '.join([row.kfunc, *words])})".encode()


def replaced(site: Site, row: Row, new: bytes) -> bytes:
    """Return the file with another text of one row; a row of an X-macro is changed where it is defined."""
    if row.via is None:
        return site.text[: row.span.start] + new + site.text[row.span.end :]
    start = site.text.index(site.found.name.encode())
    old = re.compile(rb"BTF_ID_FLAGS\(func, name\)")
    return site.text[:start] + old.sub(new.replace(row.kfunc.encode(), b"name"), site.text[start:], count=1)


def wrong_known_flag(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Write another flag that exists."""
    if any(row.arg_flags):
        swap = {"KFA_RCU": "KFA_RELEASE", "KFA_RELEASE": "KFA_RCU"}
        arguments = [[swap.get(f, f) for f in flags] for flags in row.arg_flags]
        return "another argument flag", replaced(site, row, written(row, row.flags, arguments))
    flags = (
        [f for f in row.flags if f != "KF_SLEEPABLE"] if "KF_SLEEPABLE" in row.flags else [*row.flags, "KF_SLEEPABLE"]
    )
    return "KF_SLEEPABLE where it was not, or not where it was", replaced(site, row, written(row, flags, row.arg_flags))


def neighbouring_argument(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Move the flags of arguments by one."""
    if not any(row.arg_flags):
        return None
    return "flags one argument further", replaced(site, row, written(row, row.flags, [(), *row.arg_flags]))


def dropped_row(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Leave a row out."""
    if row.via is not None:
        return None
    return "the row is gone", replaced(site, row, b"")


def one_set_not_converted(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Put the old row back in one of several sets of a kfunc."""
    old = site.before.get(row.kfunc)
    if site.sets_of[row.kfunc] < 2 or old is None or not any(row.arg_flags) or any(old.arg_flags):
        return None
    return "still as in the base, unlike in its other set", replaced(
        site, row, site.before_text[old.span.start : old.span.end]
    )


def record_dropped(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Leave the flags of arguments out."""
    if not any(row.arg_flags):
        return None
    return "without the flags of its arguments", replaced(site, row, written(row, row.flags, []))


def misspelt_flag(site: Site, row: Row) -> tuple[str, bytes] | None:
    """Write a flag that does not exist and stands alone, which no assembler minds."""
    if any(row.arg_flags):
        place = next(n for n, flags in enumerate(row.arg_flags) if flags)
        arguments = [("KFA_RUC",) if n == place else flags for n, flags in enumerate(row.arg_flags)]
        return "KFA_RUC", replaced(site, row, written(row, row.flags, arguments))
    return "KF_SLEEPABEL alone", replaced(site, row, written(row, ["KF_SLEEPABEL"], row.arg_flags))


OPERATORS: dict[str, Callable[[Site, Row], tuple[str, bytes] | None]] = {
    "wrong known flag": wrong_known_flag,
    "flag on a neighbouring argument": neighbouring_argument,
    "dropped row": dropped_row,
    "one of two sets not converted": one_set_not_converted,
    "record dropped": record_dropped,
    "misspelt flag": misspelt_flag,
}


def number(*parts: str) -> int:
    """Return a number that the seed and names decide."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])


def mutate(site: Site, seed: str) -> Mutant | None:
    """Return the mutant of a set: operator, then row, by the hash of the set's name among those that fit."""
    choices = {
        name: fits
        for name, operator in OPERATORS.items()
        if (fits := [row for row in site.rows if (made := operator(site, row)) and made[1] != site.text])
    }
    if not choices:
        return None
    name = sorted(choices)[number(seed, site.found.name) % len(choices)]
    row = choices[name][number(seed, site.found.name, name) % len(choices[name])]
    made = OPERATORS[name](site, row)
    assert made is not None
    return Mutant(site.found.name, site.found.file, name, f"{row.kfunc}: {made[0]}", made[1])


def sites(session: Session, series: Range) -> list[Site]:
    """Return every set of the base tree, as it is at the tip of the series."""
    base, tip = session.tree(series.base), session.tree(series.tip)
    entries = session.campaign.audit(tip, session.campaign_config).document()
    files = sorted({s["file"] for s in entries["sets"]})
    sets_of: dict[str, int] = {}
    for entry in entries["entries"]:
        sets_of[entry["kfunc"]] = sets_of.get(entry["kfunc"], 0) + 1
    found = []
    for file in files:
        here, text = read_sets(tip, file), tip.read(file)
        if not base.exists(file):
            continue
        old = read_sets(base, file)
        for one in here.sets:
            if one.name not in {s.name for s in old.sets}:
                continue
            rows = tuple(r for r in here.rows if r.set == one.name)
            before = {r.kfunc: r for r in old.rows if r.set == one.name}
            found.append(Site(one, text, rows, before, base.get(file) or b"", sets_of))
    return found


def commit_round(session: Session, series: Range, mutants: Sequence[Mutant]) -> tuple[Item, Mapping[str, bytes]]:
    """Write mutants of different files upon the tip, in one commit."""
    files = {mutant.file: mutant.text for mutant in mutants}
    there = {path: Entry(REGULAR, text) for path, text in files.items()}
    new = NewCommit("mutants", "mutants: Change rows\n\nTo see who notices.\n", NOBODY, "1700000000 +0000", there)
    (made,) = session.scratch.write(series.tip, [new])
    tree = session.repo.tree_of(series.tip)
    paths = tuple(sorted(files))
    return Item(f"round/{made.sha[:12]}", made.sha, series.tip, made.tree, tree, "mutants", "mutants", paths), files


def judged(
    session: Session, whole: Subject, item: Item, files: Mapping[str, bytes], check: str, off: Path | None
) -> list[Result]:
    """Return what one check says of a mutant."""
    config = session.config.checks
    if off is not None:
        config = dataclasses.replace(config, options={**config.options, "build": {"config": str(off)}})
    config = dataclasses.replace(config, waivers=())
    parent = session.tree(item.parent)
    trees = {item.parent: parent, item.commit: parent.overlaid(files)}
    one = dataclasses.replace(
        whole,
        base=item.parent,
        items=(item,),
        mails={item.commit: b""},
        witnesses=lambda commit: session.campaign.witnesses(trees[commit]),
        sites=lambda commit: session.campaign.audit(trees[commit], session.campaign_config).sites,
    )
    with closing(Results(session.work / "mutants.sqlite")) as store:
        return run_checks(one, config, store, only=[check], only_patches=[1])


def caught(mutant: Mutant, results: Sequence[Result], ignore: str = "") -> str:
    """Return the type of the finding that catches a mutant, "" if none does.

    A round has one mutant a file; a finding is about a mutant if it is in its file or names its set.
    """
    for result in results:
        if result.status is Status.ERROR:
            raise UserError(f"{result.check} could not judge {result.patch}: {result.reason}")
        for finding in result.findings:
            about = finding.file == mutant.file or re.search(rf"\b{mutant.set}\b", finding.message)
            if finding.status is Status.FAIL and finding.type != ignore and about:
                return finding.type or finding.message[:40]
    return ""


def without_btf(session: Session, folder: Path) -> Path:
    """Write the fragment of the check `build` with BTF off."""
    text = session.campaign.wishes.config[0].read_text()
    text = re.sub(r"^CONFIG_DEBUG_INFO\w*=.*\n", "", text, flags=re.M)
    target = folder / "without-btf.config"
    target.write_text(text + "CONFIG_DEBUG_INFO_NONE=y\n")
    return target


def main() -> int:
    """Make the mutants, judge them, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--sets", default="", help="only sets whose name holds this")
    parser.add_argument("--output", type=Path, default=Path("mutants.json"))
    parser.add_argument("--list", action="store_true", help="only show the mutants")
    args = parser.parse_args()
    fixed = Given(kernel=args.kernel, quiet=True)
    session = Session(fixed, Console(), Console(stderr=True), lambda argv: 2)
    series = select(session, None)
    whole = subject(session, series.base, items(session.repo, series), 1)
    author_of(session.repo, session.config.author or NOBODY)
    rows: list[dict[str, object]] = []
    left_out: list[tuple[str, str]] = []
    print(f"seed {args.seed}")
    rounds: dict[str, list[Mutant]] = {}
    for site in sites(session, series):
        if args.sets not in site.found.name:
            continue
        if site.found.file.startswith("tools/testing/selftests/bpf/prog_tests/"):
            left_out.append((site.found.name, "user space, no object of a kernel"))
        elif (mutant := mutate(site, args.seed)) is None:
            left_out.append((site.found.name, "no operator fits"))
        else:
            rounds.setdefault(mutant.file, []).append(mutant)
    with tempfile.TemporaryDirectory() as folder:
        off = without_btf(session, Path(folder))
        for number_ in range(max(map(len, rounds.values()), default=0)):
            together = [mutants[number_] for mutants in rounds.values() if number_ < len(mutants)]
            started = time.monotonic()
            item, files = commit_round(session, series, together)
            by_btf = [] if args.list else judged(session, whole, item, files, "btf", None)
            by_build = [] if args.list else judged(session, whole, item, files, "build", off)
            for mutant in together:
                found = {"btf": caught(mutant, by_btf), "without_btf": caught(mutant, by_build, "config-btf")}
                rows.append({**dataclasses.asdict(mutant), "text": None, **found})
                verdict = f"{found['btf'] or 'SURVIVED':16} {found['without_btf'] or 'survived':16}"
                print(f"{mutant.set:36} {mutant.operator:32} {'' if args.list else verdict} {mutant.what}")
            print(f"-- round {number_ + 1}: {len(together)} mutants, {time.monotonic() - started:.0f} s", flush=True)
    by_btf_all, by_off_all = (sum(bool(r[k]) for r in rows) for k in ("btf", "without_btf"))
    print(f"\n{len(rows)} mutants: {by_btf_all} caught by btf, {by_off_all} caught by a build with BTF off")
    for name, why in left_out:
        print(f"left out: {name}: {why}")
    for row in rows:
        if not row["btf"]:
            print(f"SURVIVOR: {row['set']} ({row['file']}): {row['operator']}: {row['what']}")
    args.output.write_text(json.dumps({"seed": args.seed, "mutants": rows, "left_out": left_out}, indent=1))
    return 0 if by_btf_all == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
