"""Every regular expression of the program, and texts that make a backtracking engine slow on it."""

from __future__ import annotations

import ast
import importlib
import re
import re._constants as c
import re._parser as parser
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[1]
METHODS = {"match": 2, "search": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "sub": 4, "subn": 4, "split": 3}
ALPHABET = " a/A0_-(<>[\t.*\\\"',:;#=+@|!{}\n\r$%^&~?`Z\x80"
REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT)

#: What a pattern is put together from where it is used, by file.
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "checks/applies.py": {"line": 12},
    "patchbot/campaigns/kfunc_flags/proof/meaning.py": {"f": "KFA_ARENA"},
    "patchbot/campaigns/kfunc_flags/boot/fit.py": {"pattern": r"BTF_(ID_FLAGS\(func, *|KFUNC\( *)(one|two)\b"},
    "patchbot/campaigns/kfunc_flags/sites/includes.py": {"name": "name"},
    "patchbot/campaigns/kfunc_flags/sites/expansion.py": {"w": "word"},
    "patchbot/mail/doubts.py": {"parts": ["one", "two"]},
    "patchbot/checking/news.py": {"moves": ["net/a.c", "net/a"]},
    "patchbot/git/objects.py": {"name": "name"},
    "patchbot/git/grep.py": {"needle": b"word"},
    "patchbot/model.py": {"name": b"NAME"},
    "patchbot/draft/undo.py": {"campaign": "campaign"},
    "patchbot/c/words.py": {"named": rb"two(?!\w)|one(?!\w)"},
    "patchbot/mail/target.py": {"phrase": "two words"},
    "patchbot/mail/rules.py": {"words": "campaign|script"},
    "patchbot/series/tree.py": {"pattern": "one|two", "word": True},
    "patchbot/campaigns/kfunc_flags/proof/btf_ids.py": {"name": "name"},
}

#: Patterns that msgspec searches for.
SHAPES = ("DATE", "PATH", "SHA", "WORDS")


class Slow(Exception):
    """A pattern that takes too long."""


def patterns() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield (where, pattern, method) for each call of `re` and each use of a compiled pattern, once."""
    known: set[tuple[object, ...]] = set()
    for where, pattern, method in calls():
        if (pattern.pattern, pattern.flags, method) not in known:
            known.add((pattern.pattern, pattern.flags, method))
            yield where, pattern, method


def calls() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield the same, again for each place."""
    files = sorted([*(TOP / "patchbot").rglob("*.py"), *(TOP / "checks").glob("*.py")])
    trees = {file: ast.parse(file.read_text()) for file in files}
    used: dict[str, set[str]] = {name: {"search"} for name in SHAPES}
    for tree in trees.values():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in METHODS
                and isinstance(node.value, ast.Name | ast.Attribute)
            ):
                name = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                used.setdefault(name, set()).add(node.attr)
    for file, tree in trees.items():
        path = str(file.relative_to(TOP))
        module = importlib.import_module(".".join(Path(path).with_suffix("").parts).removesuffix(".__init__"))
        names = {
            id(node.value): node.targets[0].id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{m}" for m in (*METHODS, "compile")}:
                method = node.func.attr  # type: ignore[attr-defined]
                at = METHODS.get(method, 1)
                flags = node.args[at] if len(node.args) > at else None
                flags = next((k.value for k in node.keywords if k.arg == "flags"), flags)
                known = {**vars(module), **SAMPLES.get(path, {})}
                text, number = (eval(ast.unparse(n), known) if n else 0 for n in (node.args[0], flags))
                compiled = re.compile(text, number)
                uses = used.get(names.get(id(node), ""), {"search"}) if method == "compile" else {method}
                yield from ((f"{path}:{node.lineno}", compiled, use) for use in sorted(uses))
        for name, value in vars(module).items():  # what a function of the module has compiled
            if isinstance(value, re.Pattern):
                yield from ((f"{path}:{name}", value, use) for use in sorted(used.get(name, {"search"})))


def characters(node: Any) -> list[str]:
    """Return characters of ALPHABET that a node for one character takes; a literal's own."""
    kind, value = node
    if kind is c.LITERAL:
        return [chr(value)]
    if kind not in (c.IN, c.ANY, c.NOT_LITERAL):
        return []
    form = re.compile(rebuilt(node), re.DOTALL if kind is not c.ANY else 0)
    found = [char for char in ALPHABET if form.fullmatch(char)]
    return found or [char for char in map(chr, range(256)) if form.fullmatch(char)][:1]


def rebuilt(node: Any) -> str:
    """Return the text of a node for one character."""
    kind, value = node
    if kind is c.ANY:
        return "."
    if kind is c.NOT_LITERAL:
        return f"[^{re.escape(chr(value))}]"
    classes = {c.CATEGORY_SPACE: r"\s", c.CATEGORY_NOT_SPACE: r"\S", c.CATEGORY_DIGIT: r"\d"}
    classes |= {c.CATEGORY_NOT_DIGIT: r"\D", c.CATEGORY_WORD: r"\w", c.CATEGORY_NOT_WORD: r"\W"}
    out = ""
    for what, part in value:
        if what is c.NEGATE:
            out += "^"
        elif what is c.LITERAL:
            out += re.escape(chr(part))
        elif what is c.RANGE:
            out += f"{re.escape(chr(part[0]))}-{re.escape(chr(part[1]))}"
        else:
            out += classes[part]
    return f"[{out}]"


def sample(nodes: Any, more: int = 0) -> str:
    """Return a text that nodes take; what is repeated is there as seldom as can be, or `more` times."""
    out = ""
    for node in nodes:
        kind, value = node
        if kind in REPEATS:
            out += sample(value[2], more) * max(value[0], min(more, int(value[1])))
        elif kind is c.SUBPATTERN:
            out += sample(value[3], more)
        elif kind is c.ATOMIC_GROUP:
            out += sample(value, more)
        elif kind is c.BRANCH:
            out += sample(value[1][0], more)
        else:
            out += "".join(sorted(characters(node), key="a".__ne__)[:1])
    return out


def repeated(nodes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield (what stands before, what is repeated) for each repetition and each alternative in nodes."""
    for at, (kind, value) in enumerate(nodes):
        here = before + sample(nodes[:at])
        if kind in REPEATS:
            if int(value[1]) > 8:
                chars = characters(value[2][0]) if len(value[2]) == 1 else []
                yield from ((here, char) for char in chars)
                yield from ((here, sample(value[2], n)) for n in ((0, 1, 2) if not chars else ()))
            yield from repeated(value[2], here)
        elif kind is c.SUBPATTERN:
            yield from repeated(value[3], here)
        elif kind is c.ATOMIC_GROUP:
            yield from repeated(value, here)
        elif kind is c.BRANCH:
            for branch in value[1]:
                yield here, sample(branch, 1)
                yield from repeated(branch, here)
        elif kind in (c.ASSERT, c.ASSERT_NOT):
            yield from repeated(value[1], here)


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (head, what comes again and again, tail) of texts on which a pattern could take long."""
    nodes = parser.parse(pattern.pattern, pattern.flags)
    pairs: list[tuple[str, str]] = []
    for before, pump in repeated(list(nodes)):
        pairs += [(before, pump), ("", before + pump), (before + pump, f"\n{before}{pump}")]
    for text in {sample(list(nodes)), sample(list(nodes), 1)}:
        pairs += [("", text[:end]) for end in {*range(1, min(len(text), 24) + 1), len(text) - 1, len(text)}]
        pairs += [("", text[:end] + "\n") for end in range(2, min(len(text), 24) + 1)]
    for head, pump in dict.fromkeys(pairs):
        if pump:
            yield from ((head, pump, tail) for tail in ("", "\0", "!\n"))


def made(pattern: re.Pattern[Any], attack: tuple[str, str, str], size: int) -> Any:
    """Return the text of an attack."""
    head, pump, tail = attack
    text = head + pump * (size // len(pump) + 1) + tail
    return text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Slow in a block that takes more than so many seconds of the processor."""

    def stop(*_: object) -> None:
        raise Slow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def cpu(pattern: re.Pattern[Any], method: str, text: Any, limit: float) -> float:
    """Return the processor time that a pattern takes on a text; raise Slow if it is more than `limit`."""
    call = getattr(pattern, method)
    started = time.process_time()
    with limited(limit):
        if method == "finditer":
            for _ in call(text):
                pass
        elif method in ("sub", "subn"):
            call(text[:0], text)
        else:
            call(text)
    return time.process_time() - started
