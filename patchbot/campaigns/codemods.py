"""The kinds of codemods that a campaign.toml names: words, a SmPL script, a function in Python, a program."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import join

from .. import temporary
from ..c.words import COMMENT, find_words
from ..errors import ConfigError, ToolError, UserError, line_in
from ..git.export import write_files
from ..model import Edit
from ..run import run, search_path
from ..series import spatch
from ..series.campaign import Change, Context
from ..series.edits import MODES, edits_between
from ..series.returned import insist_change
from ..series.sites import Followed
from ..signals import limit, staying
from ..terminal import aside
from .loading import function_in

#: Edits of a step's tree; what follows the sites knows which are to stay.
Codemod = Callable[[Context, Followed], Change]
#: Seconds for a whole step.
PATIENCE = 600.0


def words(names: Mapping[str, str], *, comments: bool) -> Codemod:
    """Rename identifiers, with `comments` those that comments mention, too."""

    def renamed(context: Context, followed: Followed) -> Iterator[Edit]:
        wanted = followed.wanted
        for path in wanted.files(context.tree):
            for start, site in followed.now.get(path, {}).items():
                word = site.details["word"]
                if word in names and not wanted.rule(site):
                    yield Edit(path, start, start + len(word), names[word].encode())
            for o in find_words(path, context.tree.read(path), wanted.words) if comments else ():
                if o.kind == COMMENT and o.word in names:
                    yield Edit(path, o.start, o.end, names[o.word].encode())

    return lambda context, followed: Change(tuple(renamed(context, followed)))


def cocci(folder: Path, name: str, options: Sequence[str], timeout: float | None, say: Callable[[str], str]) -> Codemod:
    """Run a SmPL script on each file that holds a word."""
    script = inside(folder, name, partial(say, "cocci"))

    def patched(context: Context, followed: Followed) -> Change:
        paths = [path for path in followed.wanted.files(context.tree) if path in followed.now]
        done = spatch.patch(context.tree, script, options, paths, context.config.jobs, timeout or spatch.FOR_A_FILE)
        troubles = [(path, trouble) for path, result in done.items() for trouble in result.troubles]
        if lost := [f"{path}:{t.line}: {t.text}" for path, t in troubles if t.whole]:
            raise UserError("\n".join([f"spatch gave up {len(lost)} of {len(done)} files:", *lost, spatch.DECIDE]))
        for path, t in troubles:
            followed.unseen.setdefault(path, []).append((t.line, t.end, t.text))
        said = [f"spatch did not parse {len(troubles)} pieces of code; what stands there is left"] if troubles else []
        return Change(tuple(edit for path, result in done.items() for edit in result.edits(path)), remarks=tuple(said))

    return patched


def python(folder: Path, name: str, timeout: float | None, say: Callable[[str], str]) -> Codemod:
    """Call a function `(Context) -> Change`, given as file.py:function."""
    file, _, function = name.partition(":")
    if not function.isidentifier() or not file.endswith(".py"):
        raise ConfigError(f"{say('python')}: python is {name!r}, not file.py:function")
    call = function_in(folder, inside(folder, file, partial(say, "python")), function, "context")
    seconds = timeout or PATIENCE

    def late(where: str) -> UserError:
        return UserError(f"{where}{name} takes longer than {seconds:g} s")

    def called(context: Context, followed: Followed) -> Change:
        try:
            with limit(seconds, lambda frame: late(place(frame, folder))), aside(), staying():
                change = call(context)
        except UserError:
            raise
        except (Exception, SystemExit, GeneratorExit) as error:
            raise UserError(f"{line_in(error, folder) or file}: {type(error).__name__}: {error}") from error
        return insist_change(f"{folder / file}: {function}()", change)

    return twice(called)


def place(frame: object, folder: Path) -> str:
    """Return `file:line: ` of the innermost line of a campaign in a stack of frames, "" if there is none."""
    while frame is not None:
        if Path(frame.f_code.co_filename).is_relative_to(folder):  # type: ignore[attr-defined]
            return f"{frame.f_code.co_filename}:{frame.f_lineno}: "  # type: ignore[attr-defined]
        frame = frame.f_back  # type: ignore[attr-defined]
    return ""


def command(folder: Path, argv: Sequence[str], timeout: float | None, say: Callable[[str], str]) -> Codemod:
    """Run a program in a folder of copies of the files that hold a word; what it makes of these is the change."""
    program = argv[0]
    if "/" in program and not os.path.isabs(program):
        program = str(inside(folder, program, partial(say, "command")))
        if not os.access(program, os.X_OK):
            raise ConfigError(f"{say('command')}: {program} is not a program (chmod +x)")

    def edited(context: Context, followed: Followed) -> Change:
        files = {p: f for p, f in context.tree.files(followed.wanted.files(context.tree)).items() if f.mode in MODES}
        edits: list[Edit] = []
        if not files:
            return Change(())
        with temporary.folder("codemod") as scratch:
            write_files(scratch, {path: file.data for path, file in files.items()})
            for path, file in files.items():
                (scratch / path).chmod(int(file.mode[-3:], 8))
            listed = "".join(f"{path}\n" for path in sorted(files)).encode("utf-8", "surrogateescape")
            env = {"PATCHBOT_CAMPAIGN": str(folder), "PATH": search_path()}
            try:
                done = run(
                    [program, *argv[1:]], cwd=scratch, env=env, stdin=listed, timeout=timeout or PATIENCE, check=False
                )
            except ToolError as error:  # it is the user's program, not one of patchbot's
                raise UserError(str(error)) from error
            if done.returncode:
                raise UserError(done.explain())
            there = dict(below(scratch))
            wrong = [f"it wrote {p}, which it was not given" for p in sorted(there.keys() - files)]
            wrong += [f"it took away {p}" for p in sorted(files.keys() - there)]
            wrong += [f"it made {p} {there[p]}" for p in sorted(files) if there.get(p)]
            if wrong:
                raise UserError(f"{join(argv)}: {'; '.join(wrong[:5])}{' and more' * (len(wrong) > 5)}")
            for path, file in files.items():
                edits += edits_between(path, file.data, (scratch / path).read_bytes())
                mode = MODES[bool((scratch / path).stat().st_mode & stat.S_IXUSR)]
                edits += [Edit(path, mode=mode)] if mode != file.mode else []
        return Change(tuple(edits))

    return twice(edited)


def below(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of what lies below a folder and is not one, and what it is if it is not a file."""
    for where, folders, names in os.walk(folder):
        for name in [*names, *(f for f in folders if os.path.islink(os.path.join(where, f)))]:
            full = Path(where, name)
            regular = stat.S_ISREG(full.lstat().st_mode)
            yield str(full.relative_to(folder)), "" if regular else "a link" if full.is_symlink() else "another thing"


def twice(codemod: Codemod) -> Codemod:
    """Return a codemod that is run two times, and refused where the edits differ."""

    def run_twice(context: Context, followed: Followed) -> Change:
        one, two = (codemod(context, followed) for _ in range(2))
        if sorted(one.edits) != sorted(two.edits):
            first = min(set(one.edits) ^ set(two.edits))
            text = context.tree.get(first.path) or b""
            line = text.count(b"\n", 0, first.start) + 1
            raise UserError(f"{first.path}:{line}: two runs on the same files edit this in different ways")
        return one

    return run_twice


def inside(folder: Path, name: str, where: Callable[[], str]) -> Path:
    """Return a file of a campaign's folder; raise ConfigError where it is not in it."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ConfigError(f"{where()}: {name} is outside of {folder}")
    if not file.is_file():
        raise ConfigError(f"{where()}: {name} is not in {folder}")
    return folder / name
