"""Include the BPF selftests that a series touches: test modules of the tree, and programs with their own verdicts.

The tree's test runner is not built: it needs most of a distribution. The expected verdict of a program is in its
object (__success, __failure, __msg are declaration tags), so the loader can report it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ....build.images import BuildFailure, Images
from ....build.units import digest
from ....errors import ToolError
from ....git.repo import Scratch
from ....progress import tick
from ....run import run, which
from .programs import CLANG, complaint_of

ROOT = "tools/testing/selftests/bpf"
#: As the Makefile of the selftests has them.
FLAGS = (
    *("-g", "-O2", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-mlittle-endian", "-std=gnu11"),
    *("-fno-strict-aliasing", "-fms-extensions", "-Wno-microsoft-anon-tag", "-Wno-compare-distinct-pointer-types"),
    *("-Wno-initializer-overrides", "-w"),
)


@dataclass(frozen=True)
class Selftests:
    """What a series touches of the BPF selftests.

    `modules` are the files of whole folders of test modules by their path in the build, since one may need another;
    `inserted` names the modules that are touched themselves, as others may need hardware. `programs` are paths.
    """

    tree: str = ""
    modules: Mapping[str, bytes] = field(default_factory=dict)
    inserted: frozenset[str] = frozenset()
    programs: tuple[str, ...] = ()

    def compile(self, images: Images, libbpf: Path, vmlinux: Path, folder: Path, log: Path) -> list[Path]:
        """Compile the programs for the kernel `vmlinux`; raise BuildFailure if one does not compile."""
        if not self.programs:
            return []
        key = digest(
            [self.tree, list(self.programs), str(libbpf), str(vmlinux), run([CLANG, "--version"]).stdout.decode()]
        )
        place = folder / key[:16]
        objects = [place / f"selftest_{PurePosixPath(path).stem}.o" for path in self.programs]
        if (place / "done").exists():
            return objects
        shutil.rmtree(folder, ignore_errors=True)
        place.mkdir(parents=True)
        images.worktree.move(self.tree)
        dump_types(images, vmlinux, place / "vmlinux.h", log)
        source = images.worktree.path / ROOT
        system = ["-I/usr/include/x86_64-linux-gnu", "-I/usr/include"]
        tools = images.worktree.path / "tools/include"
        for path, obj in zip(self.programs, objects, strict=True):
            includes = [place, source, f"{libbpf}/include", tools / "uapi", tools, source / "libarena/include"]
            argv = [which(CLANG, CLANG), *FLAGS, *(f"-I{i}" for i in includes), *(f"-idirafter{i[2:]}" for i in system)]
            if said := complaint_of([*argv, "-c", images.worktree.path / path, "-o", obj]):
                raise BuildFailure("tip", f"{path} does not compile:\n{said}")
        (place / "done").touch()
        return objects


def find_selftests(scratch: Scratch, tree: str, paths: Iterable[str]) -> Selftests:
    """Return the selftests among the paths that a series touches, with the whole folders of their modules."""
    touched = sorted({path for path in paths if path.startswith(f"{ROOT}/")})
    programs = []
    modules: dict[str, bytes] = {}
    inserted: set[str] = set()
    for folder in sorted({str(PurePosixPath(path).parent) for path in touched}):
        found = scratch.folder(f"{tree}:{folder}") if scratch.has(f"{tree}:{folder}") else {}
        if folder == f"{ROOT}/progs":
            there = {f"{folder}/{name}" for name in found if name.endswith(".c")}
            programs = [path for path in touched if path in there]
        elif "Makefile" in found and re.search(rb"\bobj-m\b", scratch.raw(found["Makefile"][1])):
            name = folder.rpartition("/")[2]
            inserted |= {PurePosixPath(p).stem for p in touched if p.startswith(f"{folder}/") and p.endswith(".c")}
            modules |= {f"{name}/{file}": scratch.raw(oid) for file, (_, oid) in found.items() if is_source(file)}
    return Selftests(tree, modules, frozenset(inserted), tuple(programs))


def is_source(name: str) -> bool:
    """Say whether a file of a module's folder is needed to build it."""
    return name == "Makefile" or name.endswith((".c", ".h"))


def dump_types(images: Images, vmlinux: Path, header: Path, log: Path) -> None:
    """Write vmlinux.h with the tree's own bpftool: an older one does not know what to declare."""
    place = header.parent / "bpftool"
    place.mkdir()
    tick("building bpftool for vmlinux.h")
    tool = place / "bootstrap/bpftool"
    if not images.make_tool("tools/bpf/bpftool", place, ["bootstrap"], log) or not tool.exists():
        raise ToolError(f"bpftool of the kernel's tools/ cannot be built; see {log}")
    reads = images.kbuild.sandbox.around(place, [], [place, vmlinux])
    dumped = run([tool, "btf", "dump", "file", vmlinux, "format", "c"], inside=reads)
    header.write_bytes(dumped.stdout)
    shutil.rmtree(place)
