"""Count the rows of a tree's kfunc sets again, by the compiler's preprocessor, without a configured kernel.

The inventory reads the text of a file; what a compiler sees are its macros, expanded, and the files it includes. Here
each file that holds or includes a set is given to `gcc -E` with the sets' macros replaced by marks. All branches of
every #if are kept, as in the inventory; only files that have to do with sets are included, with numbers as names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from .... import temporary
from ....c import macros, parse
from ....c.constants import constant
from ....progress import ticked
from ....run import run
from ....series.tree import Tree
from .branches import branches, plain, replaced_includes
from .expanded import Expanded, Names, kind
from .files import C_LIKE, NEEDLES, PATHSPECS, SETS_HEADERS, candidates
from .flags import FLAGS_HEADER
from .includes import beside, included_paths, named
from .plan import trimmed
from .sets import read_sets

#: The marks in the output, and the definitions of the sets' macros as marks.
OPEN, CLOSE, ROW, OF_SETS = "__patchbot_open__", "__patchbot_close__", "__patchbot_row__", "__patchbot_of_sets__"
MARKS = {
    "BTF_KFUNCS_START(name)": f"{OPEN}(name)",
    "BTF_KFUNCS_END(name)": f"{CLOSE}(name)",
    "BTF_SET8_START(name)": f"{OPEN}(name)",
    "BTF_SET8_END(name)": f"{CLOSE}(name)",
    "__BTF_SET8_START(name, scope, flags)": f"{OPEN}(name)",
    "BTF_ID_FLAGS(prefix, name, ...)": f"{ROW}(prefix, name, ##__VA_ARGS__)",
    "BTF_KFUNC(name, flags, ...)": f"{ROW}(func, name, flags, ##__VA_ARGS__)",
    "BTF_ID(prefix, name)": f"{ROW}(prefix, name)",
    "BPF_KFUNC_SET_START(list)": "",
    "BPF_KFUNC_SET_END(list)": "",
    "BPF_KFUNC(lists, name, ...)": f"{OF_SETS}(lists, name, ##__VA_ARGS__)",
}
#: Macros of lists and sets of other things than kfuncs; their BTF_ID()s are not rows.
OTHERS = ("BTF_SET_START(name)", "BTF_SET_START_GLOBAL(name)", "BTF_ID_LIST(name)", "BTF_ID_LIST_GLOBAL(name, n)")
OPTIONS = ("-E", "-x", "c", "-std=gnu11", "-undef", "-nostdinc", "-w", "-fmax-include-depth=40")
_WORDS = re.compile(rb"BTF_KFUNC|BTF_SET8|BTF_ID_FLAGS|BPF_KFUNC|btf_kfunc_id_set")
_LINE = re.compile(
    r'^# (\d+) "f(\d+)"|^# \d+ .*|\b(' + "|".join((OPEN, CLOSE, ROW, OF_SETS)) + r")\s*\(|\n", re.MULTILINE
)
_DEFINED = re.compile(rb"#[ \t]*define[ \t]+(\w+)")
_DEFINE = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(KFA?_\w+)(?!\w|\()", re.MULTILINE)


@dataclass(frozen=True)
class Count:
    """How many rows of each kind there are, and where one of them is; `problems` are text that does not form a row."""

    rows: Mapping[Expanded, int]
    lines: Mapping[Expanded, int]
    problems: tuple[str, ...]


def compared(tree: Tree, jobs: int = 2, kept: Collection[str] = ()) -> tuple[int, list[tuple[str, str, int]]]:
    """Return how many rows the preprocessor sees, and (message, file, line) of each that it or the inventory lacks.

    What the inventory does not understand is reported as well. `kept` are the kfuncs whose rows a person decided
    to keep, whatever the names of their flags.
    """
    counted, names = expand(tree, jobs)
    found = [(message, "", 0) for message in counted.problems]
    have: Counter[Expanded] = Counter()
    lines: dict[Expanded, int] = {}
    for path in candidates(tree):
        read = read_sets(tree, path)
        found += [(message, "", 0) for message in read.problems]
        own = {m.name: constant(m.value.decode("utf-8", "replace")) for m in macros(parse(path, tree.read(path)))}
        for row in read.rows:
            flags = [
                names.of_words(words, kind(n), own, row.kfunc in kept)
                for n, words in enumerate((row.flags, *row.arg_flags))
            ]
            made = Expanded(path, row.set, row.kfunc, trimmed(flags))
            have[made] += 1
            lines.setdefault(made, row.line)
    for made, number in sorted((Counter(counted.rows) - have).items()):
        found.append((f"only the preprocessor sees {made}{times(number)}", made.file, counted.lines[made]))
    for made, number in sorted((have - Counter(counted.rows)).items()):
        found.append((f"only the inventory has {made}{times(number)}", made.file, lines[made]))
    return sum(counted.rows.values()), found


def times(number: int) -> str:
    """Return how often, if more than once."""
    return f", {number} times" if number > 1 else ""


def expand(tree: Tree, jobs: int) -> tuple[Count, Names]:
    """Return all rows of a tree as the preprocessor expands them."""
    texts = involved(tree)
    first = prelude(tree)
    names = Names(flag_values(first))
    reach = {path: includes_of(path, text, texts) for path, text in texts.items()}
    inner = {other for found in reach.values() for other in found.values()}
    roots = [path for path in sorted(texts) if path not in inner]
    reached = {path for root in roots for path in closure(root, reach)}
    roots += [path for path in sorted(texts) if path not in reached]  # they include each other
    total: Counter[Expanded] = Counter()
    lines: dict[Expanded, int] = {}
    problems: list[str] = []
    compilations = [_Compilation(root, texts, reach, first) for root in roots]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        read = pool.map(lambda c: c.read(names, {}), compilations)
        made = list(ticked("files through the preprocessor", read, len(compilations)))
    for number, compilation in enumerate(compilations):
        wanted = {word for word in made[number].left if word.isidentifier()}
        lists = lists_of(tree, compilation.root, texts[compilation.root], wanted) if wanted else {}
        if lists:
            made[number] = compilation.read(names, lists)
        total |= made[number].rows
        for row, line in made[number].lines.items():
            lines.setdefault(row, line)
        problems += [
            f"{file}:{line}: after the preprocessor the set {owner} holds {word!r}, which is not a row"
            for word, (owner, file, line) in made[number].left.items()
        ]
    return Count(total, lines, tuple(problems)), names


def involved(tree: Tree) -> dict[str, bytes]:
    """Return the files that have a word of the sets, the files they include in quotes, and those that include them."""
    own = (*SETS_HEADERS, FLAGS_HEADER)
    texts: dict[str, bytes] = {}
    quiet: set[str] = set()
    for path in tree.grep(NEEDLES, PATHSPECS):
        text = tree.read(path)
        if path not in own and _WORDS.search(text):
            texts[path] = plain(text)
    for path in sorted({near for p, text in texts.items() for near in beside(p, text)} - {*own, *texts}):
        near = tree.get(path)
        if near is not None:
            texts[path] = plain(near)
            quiet.add(path)
    known = set(quiet)
    while new := {p for p in texts if not p.endswith(".c")} - known:
        known |= new
        ends = sorted({f"{p.rpartition('/')[2]}{end}" for p in new for end in '">'})
        for path in tree.grep(ends, PATHSPECS):
            if path not in texts and path not in own:
                text = plain(tree.read(path))
                held = includes_of(path, text, new).values()
                if any(not p.endswith(C_LIKE) or uses(text, texts[p]) for p in held):
                    texts[path] = text
    return {
        p: t for p, t in texts.items() if p.endswith(C_LIKE) or any(includes_of(q, u, [p]) for q, u in texts.items())
    }


def uses(text: bytes, included: bytes) -> bool:
    """Say whether a text uses a macro of a file that it includes; if not, that file's sets are the same alone."""
    return bool(set(_DEFINED.findall(included)) & set(re.findall(rb"\w+", text)))


def includes_of(path: str, text: bytes, among: Iterable[str]) -> dict[str, str]:
    """Return {name in an #include: the file among `among` that it means}."""
    there = set(among)
    found = {}
    for name in named(text):
        likely = [p for p in included_paths(path, name) if p in there and p != path]
        likely += sorted(p for p in there if p != path and p.endswith("/" + name.lstrip("./")))
        if likely:
            found[name] = likely[0]
    return found


@dataclass(frozen=True)
class _Read:
    """The rows of one compilation, the line of each, and what else stands in a set, with the set and its place."""

    rows: Counter[Expanded]
    lines: Mapping[Expanded, int]
    left: Mapping[str, tuple[str, str, int]]


@dataclass(frozen=True)
class _Compilation:
    """A file that no other includes, and all files that it may include."""

    root: str
    texts: Mapping[str, bytes]
    reach: Mapping[str, Mapping[str, str]]
    first: tuple[tuple[str, bytes], ...]

    def read(self, names: Names, lists: Mapping[str, bytes]) -> _Read:
        """Preprocess it, after the headers `lists`, as often as needed to see each form of its macros."""
        files = closure(self.root, self.reach)
        rows: Counter[Expanded] = Counter()
        lines: dict[Expanded, int] = {}
        left: dict[str, tuple[str, str, int]] = {}
        for number in range(variants([*(self.texts[p] for p in files), *lists.values()])):
            made, stray = read_marks(self.output(files, lists, number - 1), files, names)
            rows |= Counter(row for row, _ in made)
            for row, line in made:
                lines.setdefault(row, line)
            if number == 0:
                left = dict(stray)
        return _Read(rows, lines, left)

    def output(self, files: Sequence[str], lists: Mapping[str, bytes], branch: int) -> str:
        """Return the preprocessor's output with one branch of each #if; -1 means all of them."""
        given = list(self.first)
        argv = ["-imacros", "sets", "-imacros", "flags"]
        for number, (_, text) in enumerate(sorted(lists.items())):
            given.append((f"m{number}", replaced_includes(branches(text, branch), {})))
            argv += ["-imacros", f"m{number}"]
        for number, path in enumerate(files):
            numbers = {name: files.index(other) for name, other in self.reach[path].items() if other in files}
            given.append((f"f{number}", replaced_includes(branches(self.texts[path], branch), numbers)))
        return preprocess(tuple(given), (*argv, "f0"))


def closure(root: str, reach: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a file and all files that it includes, itself first."""
    found = [root]
    for path in found:
        found += sorted(set(reach[path].values()) - set(found))
    return found


def lists_of(tree: Tree, root: str, text: bytes, wanted: set[str]) -> dict[str, bytes]:
    """Return the headers that define macros of these names, looked for where `root` and its headers include."""
    found: dict[str, bytes] = {}
    level, seen = {root: text}, {root}
    for _ in range(4):
        named_in = ((path, name) for path, body in level.items() for name in named(body, directly=True))
        places = {other for path, name in named_in for other in included_paths(path, name)} - seen
        seen |= places
        level = {path: body for path in sorted(places) if (body := tree.get(path)) is not None}
        defined = {path: {m.decode() for m in _DEFINED.findall(body)} for path, body in level.items()}
        found |= {path: plain(level[path]) for path, macros in defined.items() if wanted & macros}
        wanted = wanted.difference(*defined.values())
        if not wanted or not level:
            break
    return found


def variants(texts: Iterable[bytes]) -> int:
    """Return how often to preprocess: once with all branches, and once for each branch if a macro has several forms."""
    defined = Counter(name for text in texts for name in re.findall(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.M))
    if all(number == 1 for number in defined.values()):
        return 1
    # The longest #if has at most a branch for each #elif, one for #if, and one for #else.
    return 3 + max((len(re.findall(rb"^[ \t]*#[ \t]*elif", text, re.M)) for text in texts), default=-2)


@lru_cache(maxsize=512)
def preprocess(files: tuple[tuple[str, bytes], ...], argv: tuple[str, ...]) -> str:
    """Return the output of `gcc -E` for files in a separate folder."""
    with temporary.folder("cpp") as folder:
        for file, text in files:
            (folder / file).write_bytes(text)
        done = run(["gcc", *OPTIONS, "-I.", *argv], cwd=folder, check=False)
    return done.stdout.decode("utf-8", "surrogateescape")


def prelude(tree: Tree) -> tuple[tuple[str, bytes], ...]:
    """Return what all compilations read first: the macros of the sets, as marks, and the flags."""
    header, flags = (
        replaced_includes(branches(plain(tree.get(path) or b""), -1), {}) for path in (SETS_HEADERS[0], FLAGS_HEADER)
    )
    marks = [f"#undef {name.partition('(')[0]}\n#define {name} {mark}\n" for name, mark in MARKS.items()]
    marks += [f"#undef {name.partition('(')[0]}\n#define {name} {CLOSE}()\n" for name in OTHERS]
    return ("sets", header + b"\n" + "".join(marks).encode()), ("flags", flags)


def flag_values(first: tuple[tuple[str, bytes], ...]) -> dict[str, int]:
    """Return the value of each flag that is a number."""
    names = sorted(set(_DEFINE.findall(dict(first)["flags"])))
    asked = b"".join(b'"%b" %b\n' % (name, name) for name in names)
    said = preprocess((*first, ("asked", asked)), ("-P", "-imacros", "flags", "asked"))
    values = {name: constant(text) for name, text in re.findall(r'^"(\w+)" (.*)$', said, re.M)}
    return {name: value for name, value in values.items() if value}


def read_marks(
    output: str, files: Sequence[str], names: Names
) -> tuple[list[tuple[Expanded, int]], list[tuple[str, tuple[str, str, int]]]]:
    """Return the rows with their lines, and whatever else stands in a set, with the set and its place."""
    rows: list[tuple[Expanded, int]] = []
    stray: list[tuple[str, tuple[str, str, int]]] = []
    file, line, current, at = files[0], 1, "", 0
    for match in marks(output):
        if current and output[at : match.start()].strip(" \t\n;"):
            stray += [(w, (current, file, line)) for w in output[at : match.start()].replace(";", " ").split()]
        at = match.end()
        if match[2]:
            file, line = files[int(match[2])] if int(match[2]) < len(files) else "", int(match[1]) - 1
        elif match[0] == "\n":
            line += 1
        elif match[3]:
            args, at = mark_arguments(output, match.end())
            if match[3] == OPEN:
                current = args[0]
            elif match[3] == CLOSE:
                current = ""
            elif len(args) > 1 and (current or len(args) > 2):
                flags = [names.of_text(a, kind(n)) if a else () for n, a in enumerate(args[2:])]
                owners = re.findall(r"\w+", args[0]) if match[3] == OF_SETS else [current]
                rows += [(Expanded(file, owner, args[1], trimmed(flags)), line) for owner in owners]
            line += output.count("\n", match.end(), at)
    return rows, stray


def marks(output: str) -> Iterator[re.Match[str]]:
    """Yield line marks, newlines and marks of sets, in order, except those within a row."""
    at = 0
    while match := _LINE.search(output, at):
        yield match
        at = mark_arguments(output, match.end())[1] if match[3] else match.end()


def mark_arguments(output: str, start: int) -> tuple[list[str], int]:
    """Return the arguments of a mark whose bracket opens before `start`, and where it ends."""
    depth, found, begin = 1, [], start
    for match in re.compile(r"[(),]").finditer(output, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
        if depth == 0 or (depth == 1 and match[0] == ","):
            found.append(" ".join(re.sub(r"^#.*$", "", output[begin : match.start()], flags=re.M).split()))
            begin = match.end()
        if depth == 0:
            return found, match.end()
    return [*found, ""], len(output)
