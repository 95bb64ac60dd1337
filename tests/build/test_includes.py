"""Tests of patchbot/build/includes.py."""

from __future__ import annotations

from pathlib import Path

from tinytree import build, commit

from patchbot.build.includes import FEW, Includes
from patchbot.git.repo import Repo


def of(includes: Includes, repo: Repo, tree: str, source: str) -> list[str]:
    return includes.of(tree, {path: oid for path, (_, oid) in repo.ls(tree).items()}, source)


def test_who_includes_a_file_by_a_name_in_quotes(tmp_path: Path) -> None:
    many = {f"net/many/{n}.c": b"int x;\n" for n in range(FEW + 1)}
    files = {
        "lib/part.c": b"int part;\n",
        "lib/whole.c": b'# include "part.c"\n',
        "lib/remark.c": b'// #include "part.c"\nchar *s = "part.c";\n',
        "top.c": b'#include "lib/part.c"\n',
        "net/part.c": b"int other;\n",
        "net/user.c": b'#include "part.c"\n',
        "net/many/user.c": b'  #  include "../part.c"\n#include "x.h"\n',
        "fs/inner.h": b"int inner;\n",
        "fs/outer.h": b'#include "inner.h"\n#include "round.h"\n',
        "fs/round.h": b'#include "outer.h"\n',
        "fs/user.c": b'#include "outer.h"\n',
        "fs/entry.S": b'#include "inner.h"\n',
        **many,
    }
    repo = build(tmp_path / "linux", files)
    includes, tree = Includes(repo), repo.tree_of(repo.resolve("HEAD"))  # type: ignore[arg-type]
    assert of(includes, repo, tree, "lib/part.c") == ["lib/whole.c", "top.c"]
    assert of(includes, repo, tree, "net/part.c") == ["net/user.c"]
    assert of(includes, repo, tree, "net/many/x.h") == ["net/many/user.c"]
    assert of(includes, repo, tree, "fs/inner.h") == ["fs/entry.S", "fs/user.c"]
    commit(tmp_path / "linux", "move", {"net/many/3.c": b'#include "x.h"\n', "lib/whole.c": b"\n"})
    tree = repo.tree_of(repo.resolve("HEAD"))
    assert of(includes, repo, tree, "net/many/x.h") == ["net/many/3.c", "net/many/user.c"]
    assert of(includes, repo, tree, "lib/part.c") == ["top.c"]
