"""Link kernels and modules, and keep what a boot needs, keyed by what they were made from.

All share one work tree and one output folder: the second kernel compiles only what differs from the first. A reworded
message changes no tree and documentation changes no kernel, so neither builds anything.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ToolError
from ..git.repo import Scratch
from ..progress import counted, tick
from ..run import run
from .kbuild import Workplace, count_members, write_anew
from .log import Growing
from .toolchain import Compiler
from .units import digest

#: Nothing in these is part of a kernel.
APART = frozenset(("Documentation", "LICENSES", "samples", "MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap"))
#: What the kernel's own build needs from tools/, and libbpf with it.
TOOLS = frozenset(("arch", "bpf", "build", "include", "lib", "objtool", "scripts"))
LIBBPF = ("include/uapi/linux", "scripts", *(f"tools/{n}" for n in ("arch", "build", "include", "lib/bpf", "scripts")))
#: So that the same sources give the same image, and ccache hits despite __DATE__.
FIXED = ("KBUILD_BUILD_TIMESTAMP=@0", "KBUILD_BUILD_USER=patchbot", "KBUILD_BUILD_HOST=patchbot")
KEPT = 4
#: The parts of the output folder that a module is built against; vmlinux is needed for its types.
DEVEL = (
    *("Makefile", "source", ".config", "Module.symvers", "include", "arch/x86/include", "scripts"),
    *("tools/objtool/objtool", "tools/bpf/resolve_btfids/resolve_btfids"),
)


class BuildFailure(ToolError):
    """A kernel or module could not be built: which (`base`, `tip`), and make's output in the message."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True)
class Image:
    """A kernel to boot: its image, the linked ELF file without debug information, and its modules by name."""

    kernel: Path
    vmlinux: Path
    modules: Mapping[str, Path] = field(default_factory=dict)


class Images(Workplace):
    """The folder of kernels."""

    makes = "kernels"

    def get(self, tree: str, log: Path, what: str) -> Image:
        """Return the kernel of a tree without modules; raise BuildFailure if it cannot be linked."""
        key = kernel_key(self.scratch, tree, self.kbuild.compiler, self.options)
        place = self.folder / "images" / key[:16]
        made(place, lambda: self._build(tree, key, place, log, what))
        (place / "done").touch()
        old = sorted(place.parent.iterdir(), key=lambda p: (p / "done").stat().st_mtime if (p / "done").exists() else 0)
        for folder in old[:-KEPT]:
            shutil.rmtree(folder)
        return Image(place / "bzImage", place / "vmlinux")

    def with_modules(self, image: Image, tree: str, files: Mapping[str, bytes], log: Path, what: str) -> Image:
        """Return the kernel of a tree with modules made from `files`; raise BuildFailure if they cannot be built."""
        place = image.kernel.parent
        own = place / f"modules-{digest({name: text.decode('latin-1') for name, text in files.items()})[:16]}"
        made(own, lambda: self._build_modules(tree, own, files, log, what))
        return replace(image, modules={path.stem: path for path in sorted(own.glob("*.ko"))})

    def libbpf(self, tree: str, log: Path) -> Path:
        """Return the folder with libbpf.a and include/bpf/ of a tree."""
        place = self.folder / "libbpf" / libbpf_key(self.scratch, tree)[:16]

        def build() -> None:
            tick("building libbpf")
            self.worktree.move(tree)
            goals = [f"DESTDIR={place}", "prefix=", "install_headers", f"{place}/libbpf.a"]
            if not self.make_tool("tools/lib/bpf", place, goals, log):
                raise BuildFailure("tools", f"libbpf of the kernel's tools/ cannot be built; see {log}")

        return made(place, build)

    def make_tool(self, folder: str, place: Path, goals: Sequence[str], log: Path) -> bool:
        """Make goals in a folder of the work tree, with their objects in `place`; say whether that worked."""
        argv: list[str | Path] = [
            "make",
            "-C",
            self.worktree.path / folder,
            f"-j{self.kbuild.jobs}",
            f"OUTPUT={place}/",
            "V=0",
            *goals,
        ]
        inside = self.kbuild.inside(self.worktree.path, place)
        return run(argv, log=log, check=False, timeout=900, inside=inside).returncode == 0

    def _build(self, tree: str, key: str, place: Path, log: Path, what: str) -> None:
        """Link the kernel of a tree, unless it is the one in the output folder, and keep what a boot needs of it."""
        stamp = self.kbuild.out / ".patchbot-kernel"
        if not (stamp.exists() and stamp.read_text() == key):
            stamp.unlink(missing_ok=True)
            self.move(tree)
            if not self.configure(log).btf:
                raise ToolError("CONFIG_DEBUG_INFO_BTF is off; does the kernel accept this pahole?")
            image = self.kbuild.out / "arch/x86/boot/bzImage"
            image.unlink(missing_ok=True)
            # Later kernels are built in what is there, and nobody knows how much of that is old.
            objects = 0 if (self.kbuild.out / "vmlinux").exists() else count_members(self.kbuild)
            with counted(f"building the kernel of the {what}", objects, Growing(log).objects):
                said = self.kbuild.make([*FIXED, "bzImage", "modules"], log, timeout=7200)
            if not image.exists() or not (self.kbuild.out / "Module.symvers").exists():
                raise BuildFailure(what, f"the kernel of the {what} cannot be linked; see {log}:\n{complaints(said)}")
            write_anew(stamp, key)
        self._keep(place)

    def _keep(self, place: Path) -> None:
        """Keep what a boot needs of the kernel in the output folder."""
        shutil.copyfile(self.kbuild.out / "arch/x86/boot/bzImage", place / "bzImage")
        self._strip(self.kbuild.out / "vmlinux", place / "vmlinux")
        for name in DEVEL:
            source, target = self.kbuild.out / name, place / "devel" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, target, symlinks=True)
            elif source.exists():
                shutil.copy2(source, target, follow_symlinks=False)
        (place / "devel/vmlinux").hardlink_to(place / "vmlinux")

    def _strip(self, source: Path, target: Path) -> None:
        """Copy an ELF file without its debug information."""
        run([f"{self.kbuild.compiler.cross}objcopy", "--strip-debug", source, target])

    def _build_modules(self, tree: str, place: Path, files: Mapping[str, bytes], log: Path, what: str) -> None:
        """Build external modules against the kernel kept in the folder above."""
        self.worktree.move(tree)
        kbuild = replace(self.kbuild, out=place.parent / "devel")
        tick(f"building test modules for the {what}")
        source = self.folder / "modules"
        shutil.rmtree(source, ignore_errors=True)
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for makefile in sorted(source.rglob("Makefile")):
            folder = makefile.parent
            said = kbuild.make([f"M={folder}", "modules"], log, source, timeout=1800)
            wanted = wanted_modules(makefile.read_text(encoding="utf-8", errors="replace"), folder)
            missing = [name for name in wanted if not (folder / f"{name}.ko").exists()]
            if missing or "*** [" in said:
                names = ", ".join(missing) or folder.name
                text = f"the test module {names} of the {what} cannot be built; see {log}:\n{complaints(said)}"
                raise BuildFailure(what, text)
            for ko in sorted(folder.glob("*.ko")):
                self._strip(ko, place / ko.name)


def made(place: Path, build: Callable[[], None]) -> Path:
    """Return a folder that `build` fills, unless it exists already and is complete."""
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        build()
        write_anew(place / "done", "")
    return place


def wanted_modules(makefile: str, folder: Path) -> list[str]:
    """Return the modules that a Makefile's `obj-m` names and whose source exists."""
    names = re.findall(r"(?<![\w-])([\w-]++)\.o\b", " ".join(re.findall(r"^obj-m\s*[:+]?=(.*)$", makefile, re.M)))
    return [name for name in names if (folder / f"{name}.c").exists()]


def complaints(said: str, most: int = 8) -> str:
    """Return the lines of make's output that report a problem."""
    rows = [
        r for r in said.splitlines() if re.search(r"\berror\b|\bundefined\b|FAILED|inconsistent|\*\*\*|WARN: ", r, re.I)
    ]
    return "\n".join((rows or said.splitlines())[:most])


def kernel_key(scratch: Scratch, tree: str, compiler: Compiler, options: Mapping[str, str]) -> str:
    """Return what a kernel is made from: the parts of the tree, the tools, the configuration."""
    parts = [row for row in scratch.folder(tree).items() if row[0] not in APART and row[0] != "tools"]
    parts += [row for row in scratch.folder(f"{tree}:tools").items() if row[0] in TOOLS]
    return digest([parts, compiler.cc, compiler.cross, compiler.versions, dict(options)])


def libbpf_key(scratch: Scratch, tree: str) -> str:
    """Return what libbpf is made from."""
    return digest(scratch.ls(tree, *LIBBPF))
