"""Read from `make -n` how each object is compiled: its own command line, without compiling anything.

One make run tells it for hundreds of objects. The compiler then gets the same words with another goal. How the build's
own programs below tools/ were compiled stands in the .cmd files beside their objects.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench
from .units import Unit, digest


@dataclass(frozen=True)
class Command:
    """The compiler's words for one object, without its goal and the file that it writes, and the folder to be in."""

    cwd: str
    argv: tuple[str, ...]


def commands(bench: Bench, tree: str, units: Iterable[Unit], log: Path) -> dict[Unit, Command]:
    """Return how units are compiled at `tree`, as far as make says; what is known is not asked again."""
    units, files = {*units}, bench.files(tree)
    tools = {unit: told for unit in units if unit.tool and (told := _of_tool(bench, unit))}
    units -= {unit for unit in units if unit.tool}
    scope = ["command", bench.config(tree, log).digest, bench.kbuild.compiler.versions]
    keys = {u: digest([*scope, u.obj, u.module, {p: files[p] for p in bench.rules(tree, *u.places)}]) for u in units}
    found = {unit: known for unit, key in keys.items() if (known := bench.known.get(key, Command))}
    missing = sorted(keys.keys() - found.keys())
    if missing:
        bench.ready(tree, log)
    for module in sorted({unit.module for unit in missing}):
        asked = [unit for unit in missing if unit.module == module]
        for unit, command in _ask(bench, module, asked, log).items():
            found[unit] = command
            bench.known.put(keys[unit], command)
    return found | tools


def _of_tool(bench: Bench, unit: Unit) -> Command | None:
    """Return how an object of the build's own programs was compiled, in the folder that its source is named from."""
    obj = bench.path(unit)
    cmd = obj.with_name(f".{obj.name}.cmd")
    text = cmd.read_text("utf-8", "replace") if cmd.exists() else ""
    line = next((line for line in text.splitlines() if line.startswith(("cmd_", "savedcmd_"))), "")
    told = read_commands(line.partition(":=")[2].replace("$(pound)", "#"), "")
    if command := told.get(str(obj)):
        source = str(bench.kbuild.source / unit.source)
        if source.endswith(f"/{command.argv[-1]}"):
            return Command(source.removesuffix(f"/{command.argv[-1]}"), command.argv)
    return None


def _ask(bench: Bench, module: str, units: Iterable[Unit], log: Path) -> Mapping[Unit, Command]:
    """Ask make how it would compile units of the kernel, or of an external module."""
    places = {unit: bench.path(unit) for unit in units}
    for place in places.values():  # make says nothing of what is there
        place.unlink(missing_ok=True)
    out = bench.kbuild.out
    if not module:
        said = bench.kbuild.make(["-n", *(unit.obj for unit in places)], log)
        told = read_commands(said, str(out))
        return {unit: told[unit.obj] for unit in places if unit.obj in told}
    own = bench.module_out(module) if bench.has_module_out() else None
    where = [f"M={bench.kbuild.source / module}", *([f"MO={own}"] if own else [])]
    said = bench.kbuild.make(["-n", *where, *(place.name for place in places.values())], log)
    told = read_commands(said, str(own or out))
    return {unit: told[name] for unit, place in places.items() for name in (str(place), place.name) if name in told}


def read_commands(said: str, cwd: str) -> dict[str, Command]:
    """Return {object: command} of what make would run in the folder `cwd`."""
    found: dict[str, Command] = {}
    for line in said.replace("\\\n", " ").splitlines():
        if " -c " not in line or " -o " not in line:
            continue
        for words in simple_commands(line):
            if "-c" in words and "-o" in words[:-1] and words[0] not in ("echo", "printf"):
                found.setdefault(words[words.index("-o") + 1], Command(cwd, tuple(bare(words))))
    return found


def simple_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        for word in lexer:
            if word and not word.strip(";&|<>()"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)
    except ValueError:  # a quote that does not end
        return
    if words:
        yield words


def bare(words: list[str]) -> Iterator[str]:
    """Yield a compiler's words but those that say what to write, and no ccache, which keeps what is compiled."""
    skip = words[0].rpartition("/")[2] == "ccache"
    for word in words:
        if skip or word == "-c" or word.startswith("-Wp,-M"):
            skip = False
        elif word == "-o":
            skip = True
        else:
            yield word
