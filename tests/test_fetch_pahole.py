"""Getting a newer pahole: a Debian archive on the disk, real apt and dpkg, a program with libraries of its own."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import debarchive
import fetch_pahole as pahole
import pytest

from patchbot.errors import ToolError
from patchbot.run import run

needs = pytest.mark.skipif(
    not shutil.which("apt-get") or platform.machine() != "x86_64", reason="needs apt-get (Debian) on x86_64"
)
MADISON = """\
    pahole |     1.99-1 | http://mirror.example.org/debian sid/main amd64 Packages
    pahole |   1.24-4.1 | http://mirror.example.org/debian bookworm/main amd64 Packages
    pahole |     1.30-1 | http://mirror.example.org/debian trixie/main amd64 Packages
   dwarves |     1.26-1 | http://mirror.example.org/debian trixie/main Sources
"""


@needs
def test_the_nearest_that_is_new_enough() -> None:
    package, suite = pahole.choose(MADISON)
    assert (package.version, suite) == ("1.30-1", "trixie")
    with pytest.raises(ToolError, match=r"no suite .* has pahole 1\.26 or newer"):
        pahole.choose("\n".join(MADISON.splitlines()[1:2]))


def publish(tmp_path: Path, says: str) -> Path:
    """Return the configuration of an archive whose pahole 1.30 `says` what it is, and needs a library."""
    (tmp_path / "a.c").write_text(f'#include <stdio.h>\nint main(void) {{ puts("{says}"); return 0; }}\n')
    run(["gcc", "-o", tmp_path / "a", tmp_path / "a.c"])
    libc = Path("/lib/x86_64-linux-gnu/libc.so.6").read_bytes()
    library = {pahole.LOADER: Path("/lib64/ld-linux-x86-64.so.2").read_bytes(), f"{pahole.LIBRARIES}/libc.so.6": libc}
    program = {"usr/bin/pahole": (tmp_path / "a").read_bytes()}
    build = tmp_path / "build"
    debarchive.configure(tmp_path / "etc", tmp_path / "archive")
    old = debarchive.build(build, "pahole", "1.24-1", program)
    new = [
        debarchive.build(build, "pahole", "1.30-1", program, "libsome"),
        debarchive.build(build, "libsome", "1", library),
    ]
    debarchive.publish(tmp_path / "archive", "bookworm", [old])
    debarchive.publish(tmp_path / "archive", "trixie", new)
    return tmp_path / "etc"


@needs
def test_it_starts_with_its_own_libraries(tmp_path: Path) -> None:
    folder = tmp_path / "with a blank"
    said: list[str] = []
    for _ in range(2):  # again is no harm
        program = pahole.fetch(folder, said.append, publish(tmp_path, "v1.30") if not said else tmp_path / "etc")
    assert run([program, "--version"]).stdout == b"v1.30\n"
    assert (folder / "root" / pahole.LIBRARIES / "libc.so.6").exists()
    assert not (folder / "apt").exists()
    assert said == ["getting pahole 1.30-1 of trixie"] * 2


@needs
def test_one_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"says that it is 'v1\.29', not v1\.30"):
        pahole.fetch(tmp_path / "new", lambda _: None, publish(tmp_path, "v1.29"))
