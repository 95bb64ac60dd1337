"""Make a git repository out of tests/linux, the tiny kernel, with the same commit id on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from patchbot.git import small
from patchbot.git.repo import Repo

#: The folder of the tests, and the patchbot that they are of.
TESTS = Path(__file__).parent
TOP = TESTS.parent
TINY = TESTS / "linux"
DATE = small.DATE


def build(path: Path, changes: Mapping[str, bytes | None] | None = None) -> Repo:
    """Commit the tiny kernel to a new repository with a work tree at `path` and open it.

    `changes` are laid over it first: {path: whole new bytes, or None to leave the file out}.
    """
    small.lay_out(path)
    for name, data in (changes or {}).items():
        where = path / name
        if data is None:
            where.unlink()
        else:
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(data)
    commit(path, "Linux 7.99")
    return Repo.open(path)


def commit(path: Path, message: str, changes: Mapping[str, bytes] | None = None, *, amend: bool = False) -> str:
    """Commit everything in the work tree, after writing `changes`, as a fixed person at a fixed time; return the id."""
    for name, data in (changes or {}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return small.commit(path, message, *(["--amend"] if amend else []))


def told(path: str, old: bytes, new: bytes) -> dict[str, bytes | None]:
    """Return the change of one file in which `old`, which must be there once, is `new`: for `build`."""
    data = (TINY / path).read_bytes()
    if data.count(old) != 1:
        raise AssertionError(f"{path} holds {old!r} {data.count(old)} times, not once")
    return {path: data.replace(old, new)}


def told_to_warn(path: str = "kernel/bpf/cpumask.c") -> dict[str, bytes | None]:
    """Return a change with which a file compiles with one warning (-Wunused-variable)."""
    return told(
        path,
        b"\nlate_initcall(",
        b"\nint told_to_warn(void);\n\nint told_to_warn(void)\n{\n\tint unused;\n\n\treturn 0;\n}\n\nlate_initcall(",
    )


def told_to_fail(path: str = "kernel/bpf/cpumask.c") -> dict[str, bytes | None]:
    """Return a change with which a file does not compile."""
    return told(path, b"\nlate_initcall(", b"\nint told_to_fail = undeclared;\n\nlate_initcall(")


def told_to_lack_an_anchor() -> dict[str, bytes | None]:
    """Return a change that renames a function which the campaign kfunc_flags edits."""
    return {
        path: data.replace(b"btf_populate_kfunc_set", b"btf_fill_kfunc_set")
        for path, data in {"kernel/bpf/btf.c": (TINY / "kernel/bpf/btf.c").read_bytes()}.items()
    }


def sh(cwd: Path, *argv: str, **env: str) -> str:
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **env}, check=True, capture_output=True)
    return done.stdout.decode().strip()


def snapshot(repo: Repo) -> dict[str, object]:
    """Everything of a repository that patchbot must not touch."""
    work = repo.git_dir.parent
    return {
        "head": (repo.git_dir / "HEAD").read_text(),
        "index": (repo.git_dir / "index").read_bytes(),
        "config": (repo.git_dir / "config").read_text(),
        "status": sh(work, "git", "status", "--porcelain=v2", "--branch", "--ignored", GIT_OPTIONAL_LOCKS="0"),
        "refs": {k: v for k, v in repo.refs("refs").items() if "patchbot" not in k},
        "stash": sh(work, "git", "stash", "list"),
    }


PATCHBOT = [sys.executable, "-m", "patchbot.cli"]


def patchbot(*argv: str, cwd: Path, code: int = 0, **env: str) -> subprocess.CompletedProcess:
    done = subprocess.run([*PATCHBOT, *argv], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr + done.stdout
    return done


#: Lets make write a header for all objects from what the compiler says of kernel/bounds.c.
BOUNDS = b"""
bounds := $(output)/include/generated/bounds.h
$(single) prepare: $(bounds)
$(bounds): FORCE
	@mkdir -p $(output)/kernel $(output)/include/generated
	$(Q)cd $(output) && $(CC) -Wp,-MD,kernel/.bounds.s.d -S -o kernel/bounds.s $(srctree)/kernel/bounds.c
	$(Q)cd $(output) && $(PERL) $(srctree)/scripts/basic/fixdep.pl kernel/bounds.s $(srctree)/kernel/bounds.c \\
		kernel/.bounds.s.d cc >kernel/.bounds.s.cmd
	$(Q)cd $(output) && sed -n 's/^[[:space:]]*\\.ascii "->\\(.*\\)"/#define \\1/p' kernel/bounds.s >$@.new && \\
		if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
"""


def bounds(*values: str) -> bytes:
    """Return a kernel/bounds.c of which the header defines some values."""
    return "".join(f'asm("\\n.ascii \\"->{value}\\"");\n' for value in values).encode()


def with_bounds(tiny: Repo, *values: str) -> dict[str, bytes]:
    """Return the changes that have the tiny kernel make include/generated/bounds.h, with some values."""
    old = {path: tiny.read(tiny.resolve("HEAD"), path) or b"" for path in ("Makefile", "scripts/Makefile.build")}
    return {
        "Makefile": old["Makefile"].replace(b"\nMakefile: ;", BOUNDS + b"\nMakefile: ;"),
        "scripts/Makefile.build": old["scripts/Makefile.build"].replace(
            b" -D__KERNEL__", b" -I$(objtree)/include -D__KERNEL__"
        ),
        "kernel/bounds.c": bounds(*values),
    }
