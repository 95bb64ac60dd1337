"""Find the objects that a patch leaves as they are, by what is left for the compiler after the preprocessor.

Hundreds of objects may include a header of which a patch changes a remark, or a macro that few of them use. Where the
compiler reads the same as before, it says the same, and the object differs at most in the line numbers of its debug
information. Where something was said about a changed file, the object is compiled all the same, for its line may be
another one. That the same text after the preprocessor makes the same object is what ccache relies on, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

from ..progress import tick
from ..run import run
from .bench import Bench
from .command import Command, commands
from .units import Compiled, Unit

#: How many objects are compared first: if none of them is the same, the others hardly are.
SAMPLE = 6
#: `# 12 "linux/btf.h" 1 3`: the line, the file, how it was reached and what it is; from the end of the line before.
MARKER = re.compile(rb'\n# \d++ ("(?:[^"\\\n]|\\.)*+")([ \d]*+)(?=\n)')


def keep_same(
    bench: Bench, old: str, new: str, results: Mapping[Unit, Compiled], units: Iterable[Unit], log: Path
) -> None:
    """Keep for those of `units` that are the same at two trees that the results at `old` are those at `new`."""
    if bench.checker or bench.config(old, log).digest != bench.config(new, log).digest:
        return
    before, after = bench.files(old), bench.files(new)
    shelf = bench.shelf(new, log, same=True)
    asked = [
        result
        for unit in sorted(set(units) & results.keys())
        if (result := results[unit]).built
        and may_be_same(bench, old, new, result)
        and shelf.find(unit, after, Compiled) is None
    ]
    if not asked:
        return
    tick(f"comparing what the compiler reads of {len(asked)} objects for {bench.name}")
    sample = asked[:: max(1, len(asked) // SAMPLE)]
    for part in (sample, [result for result in asked if result not in sample]):
        first, second = (texts(bench, tree, part, log) for tree in (old, new))
        same = [result for result in part if first.get(result.unit, "") == second.get(result.unit)]
        for result in same:
            shelf.put_same(result.unit, bench.made_of(old, result.unit, result.files), before, after)
        if not same:  # the change is in what all include and use
            break


def may_be_same(bench: Bench, old: str, new: str, result: Compiled) -> bool:
    """Say whether only headers of an object differ between two trees, and none of which something was said."""
    before, after, unit = bench.files(old), bench.files(new), result.unit
    told = {finding.file for finding in result.findings if finding.file}
    rules = [*bench.rules(old, *unit.places), *bench.rules(new, *unit.places)]
    kept = unit.source.endswith(".c") and not unit.tool
    return kept and all(before.get(path) == after.get(path) for path in (unit.source, *rules, *told))


def texts(bench: Bench, tree: str, results: Iterable[Compiled], log: Path) -> dict[Unit, str]:
    """Return a digest of what the compiler reads of each object at a tree; without those that it does not tell of."""
    files, shelf = bench.files(tree), bench.shelf(tree, log, "text")
    found = {r.unit: known for r in results if (known := shelf.find(r.unit, files, str))}
    rest = {r.unit: r for r in results if r.unit not in found}
    if not rest:
        return found
    told = commands(bench, tree, rest, log)
    bench.ready(tree, log)
    with ThreadPoolExecutor(max(1, bench.kbuild.jobs)) as pool:
        futures = {u: pool.submit(copy_context().run, text, bench, told[u]) for u in rest if u in told}
    for unit, future in futures.items():
        if said := future.result():
            found[unit] = said
            shelf.put(unit, bench.made_of(tree, unit, rest[unit].files), files, said)
    return found


def text(bench: Bench, command: Command) -> str:
    """Return a digest of the text after the preprocessor and of what that says; "" if it fails."""
    cwd = Path(command.cwd)
    done = run([*command.argv, "-E"], cwd=cwd, check=False, timeout=300, inside=bench.kbuild.inside(cwd))
    if done.returncode:
        return ""
    total = hashlib.sha256(repr(command).encode("utf-8", "surrogateescape"))
    total.update(done.stderr + b"\0" + without_lines(done.stdout))
    return total.hexdigest()


def without_lines(output: bytes) -> bytes:
    """Return the preprocessor's output without the numbers of lines, which files they are of excepted."""
    here = b""

    def shorten(match: re.Match[bytes]) -> bytes:
        nonlocal here
        file, flags = match.groups()
        if file == here and not flags.strip():
            return b""
        here = file
        return b"\n# %b%b" % (file, flags)

    found = MARKER.sub(shorten, b"\n" + output)
    while (shorter := found.replace(b"\n\n", b"\n")) != found:
        found = shorter
    return found
