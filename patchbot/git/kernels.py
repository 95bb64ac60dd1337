"""Get a kernel without a git host: a Debian source package, streamed into one bare repository of patchbot's own.

A kernel has 96,000 files; unpacking them first would take 1.6 GB and minutes. The archive goes through memory straight
into fast-import (18 s), into a pack without deltas, which `git grep` reads in 2 s. The commit depends on the package
only: it has the same id on every machine. Nothing is visible before the tag, which is set last.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import IO

from .. import temporary
from ..errors import ToolError, UserError
from ..model import Identity, kernel_version
from ..progress import counted, tick
from ..run import piped, run
from ..turns import Turn
from .debian import Apt, Package, Say, package_for
from .fastimport import quote, without_crud
from .repo import Repo, Scratch
from .transaction import publish

#: Bytes on disk for each byte of a package during an import: the package, and a pack more than twice its size.
SPACE = 3.5
TAGS = "refs/tags/debian/"


@dataclass(frozen=True)
class Kernel:
    """A kernel in patchbot's own repository `repo`; `tag` is its short name there, `version` what its Makefile says."""

    repo: Path
    commit: str
    tag: str
    version: str


def available(cache: Path, say: Say, etc: Path = Path("/etc/apt")) -> list[Package]:
    """Return the kernel packages that can be fetched, newest first; asks the mirror."""
    return Apt(cache / "apt", etc).packages(say)


def imported(cache: Path) -> list[Kernel]:
    """Return the kernels that are in the cache already, newest first."""
    if not (cache / "linux.git/HEAD").exists():
        return []
    repo = Repo.open(cache / "linux.git")
    found = []
    for ref, commit in repo.refs(TAGS).items():
        version = kernel_version(repo.read(commit, "Makefile"))
        found.append(Kernel(repo.git_dir, commit, ref.removeprefix("refs/tags/"), version))
    return sorted(found, key=lambda k: ("-rc" not in k.version, numbers_in(k.version), numbers_in(k.tag)), reverse=True)


def numbers_in(version: str) -> list[int]:
    """Return the numbers in a version, for sorting."""
    return [int(n) for n in re.findall(r"\d+", version)]


def fetch(version: str | None, cache: Path, say: Say, *, refresh: bool = False, etc: Path = Path("/etc/apt")) -> Kernel:
    """Return a kernel; download and import it if it is not in the cache.

    `version` is what `debian.choose` takes; None is the newest. With `refresh` the mirror is asked even if the cache
    would do. `say` gets a line for whatever a person waits for, and for a kernel that is not the one asked for.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with Turn(cache / "kernels.lock", "the kernels in the cache", say):
        there = imported(cache)
        if not refresh:
            for kernel in there:
                if version is None or is_asked_for(kernel, version):
                    return kernel
        say("asking Debian's archive which kernels there are")
        apt = Apt(cache / "apt", etc)
        package, remark = package_for(apt.packages(say), version)
        if remark:
            say(remark)
        for kernel in there:
            if kernel.tag == tag_of(package):
                return kernel
        need = int(package.size * SPACE)
        free = shutil.disk_usage(cache).free
        if free < need:
            raise UserError(
                f"{package} needs {need >> 20} MB in {cache}, only {free >> 20} MB are free (XDG_CACHE_HOME moves it)"
            )
        with temporary.folder("import") as folder:
            say(f"downloading {package} ({package.size >> 20} MB)")
            (folder / "deb").mkdir()
            with counted("MB", package.size >> 20, lambda: apt.loaded(folder / "deb") >> 20):
                deb = apt.download(package, folder / "deb")
            say(f"importing {package}, about 20 s")
            return import_package(deb, package, Repo.create(cache / "linux.git"), folder / "scratch.git")


def is_asked_for(kernel: Kernel, version: str) -> bool:
    """Say whether a kernel in the cache matches `version`."""
    wanted = version.removeprefix("v")
    return f"{kernel.version}.".startswith(f"{wanted}.") or kernel.tag == f"debian/{sanitise(wanted)}"


def sanitise(version: str) -> str:
    """Return a Debian version as part of a tag's name, as Debian's own packaging repositories write it (DEP-14)."""
    return version.replace("~", "_").replace(":", "%")


def tag_of(package: Package) -> str:
    """Return the short name of a package's tag."""
    return f"debian/{sanitise(package.version)}"


def import_package(deb: Path, package: Package, repo: Repo, scratch_dir: Path) -> Kernel:
    """Import the source archive in a linux-source package as one commit of `repo`, and tag it."""
    said = run(["dpkg-deb", "--field", deb, "Maintainer"]).stdout.decode("utf-8", "replace")
    author = Identity(*parseaddr(said.strip()))
    scratch = Scratch.at(scratch_dir, repo)
    try:
        with piped(["dpkg-deb", "--fsys-tarfile", deb]) as outer, scratch.importing() as out:
            source = find_source(outer, deb)
            makefile, date, files = import_blobs(source, out)
            version = kernel_version(makefile)
            text = (
                f"Linux {version}\n\nImported from the Debian package {package},\n"
                "which has Debian's patches on top of the release.\n"
            ).encode()
            who = f"{without_crud(author.name)} <{without_crud(author.email)}> {date} +0000"
            out.write(f"commit refs/heads/import\ncommitter {who}\n".encode())
            out.write(b"data %d\n%b\n" % (len(text), text))
            for path, (mode, mark) in sorted(files.items()):
                out.write(f"M {mode} :{mark} {quote(path)}\n".encode("utf-8", "surrogateescape"))
            out.write(b"\ndone\n")
    except (tarfile.TarError, EOFError) as error:
        raise ToolError(f"{deb.name} is damaged: {error}") from error
    except OSError as error:
        raise ToolError(f"cannot import {deb.name}: {error.strerror or error}") from error
    commit = scratch.git("rev-parse", "refs/heads/import").stdout.decode().strip()
    repo.adopt(scratch)
    publish(repo, scratch, [(f"refs/tags/{tag_of(package)}", commit, None)])
    return Kernel(repo.git_dir, commit, tag_of(package), version)


def find_source(outer: IO[bytes], deb: Path) -> tarfile.TarFile:
    """Return the kernel's archive inside a package's archive, opened as a stream."""
    packed = tarfile.open(fileobj=outer, mode="r|")  # noqa: SIM115
    for member in packed:
        if re.search(r"/linux-source-[^/]*\.tar\.(xz|bz2|gz)$", member.name) and member.isfile():
            inner = packed.extractfile(member)
            kind = member.name.rpartition(".")[2]
            assert inner is not None
            return tarfile.open(fileobj=inner, mode=f"r|{kind}")  # type: ignore[call-overload, no-any-return]
    raise ToolError(f"{deb.name} holds no usr/src/linux-source-*.tar.xz")


def import_blobs(source: tarfile.TarFile, out: IO[bytes]) -> tuple[bytes | None, int, dict[str, tuple[str, int]]]:
    """Write the files of an archive to fast-import; return the top Makefile, the newest date, {path: (mode, mark)}."""
    makefile, date = None, 0
    marks: dict[str, tuple[str, int]] = {}
    for member in source:
        source.members = []  # type: ignore[attr-defined]  # tarfile would keep 100,000 of them
        path = path_inside(member.name)
        date = max(date, int(member.mtime))
        if member.isdir() or path is None:
            continue
        mark = len(marks) + 1
        if member.issym():
            mode, data = "120000", member.linkname.encode("utf-8", "surrogateescape")
        elif member.isfile():
            file = source.extractfile(member)
            assert file is not None
            mode, data = "100755" if member.mode & 0o111 else "100644", file.read()
        else:
            raise ToolError(f"the archive holds {member.name!r}, which is neither a file nor a symbolic link")
        tick("files", mark)
        if path in marks:
            raise ToolError(f"the archive holds {path!r} twice")
        if path == "Makefile":
            makefile = data
        out.write(b"blob\nmark :%d\ndata %d\n" % (mark, len(data)))
        out.write(data)
        out.write(b"\n")
        marks[path] = (mode, mark)
    return makefile, date, marks


def path_inside(name: str) -> str | None:
    """Return a member's path below the archive's one top folder, None for that folder itself."""
    parts = [part for part in name.split("/") if part != "."]
    if any(part in ("", "..") or part.lower() == ".git" for part in parts):
        raise ToolError(f"the archive holds {name!r}, which leads out of the kernel's folder")
    return "/".join(parts[1:]) or None
