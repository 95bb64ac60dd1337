"""Link kernels and modules, and keep what a boot needs of them by what they were made of.

One work tree and one output folder for all: the second kernel compiles only what differs from the first. A message
edit changes no tree, a change of documentation no kernel, so neither builds anything.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ToolError
from ..git.repo import Scratch
from ..git.worktree import WorkTree
from ..progress import note
from ..run import run
from ..sandbox import NORMAL, Sandbox
from ..turns import Turn
from .kbuild import Kbuild, configure, defined_symbols, write_anew
from .toolchain import Compiler
from .units import digest

#: Nothing of these is in a kernel.
APART = frozenset(("Documentation", "LICENSES", "samples", "MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap"))
#: What the kernel's own build takes from tools/, and libbpf with it.
TOOLS = frozenset(("arch", "bpf", "build", "include", "lib", "objtool", "scripts"))
LIBBPF = (
    "tools/lib/bpf",
    "tools/build",
    "tools/include",
    "tools/scripts",
    "tools/arch",
    "scripts",
    "include/uapi/linux",
)
#: The same sources give the same image, and ccache hits __DATE__.
FIXED = ("KBUILD_BUILD_TIMESTAMP=@0", "KBUILD_BUILD_USER=patchbot", "KBUILD_BUILD_HOST=patchbot")
KEPT = 4
#: What a module is built against, of the output folder; vmlinux is needed for its types.
DEVEL = (
    *("Makefile", "source", ".config", "Module.symvers", "include", "arch/x86/include", "scripts"),
    *("tools/objtool/objtool", "tools/bpf/resolve_btfids/resolve_btfids"),
)


class BuildFailure(ToolError):
    """A kernel or module could not be built: which (`base`, `tip`), and in the message what make said."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True)
class Image:
    """A kernel to boot: its image, the linked ELF file without debug information, and its modules by name."""

    kernel: Path
    vmlinux: Path
    modules: Mapping[str, Path] = field(default_factory=dict)


class Images:
    """The folder of kernels; one process at a time has it."""

    def __init__(
        self,
        folder: Path,
        scratch: Scratch,
        compiler: Compiler,
        options: Mapping[str, str],
        jobs: int,
        progress: Callable[[str], None] = lambda _: None,
        sandbox: Sandbox = NORMAL,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._turn = Turn(folder / "lock", f"the kernels in {folder}", note)  # as long as the images
        self.folder = folder
        self.scratch = scratch
        self.options = options
        self.progress = progress
        self.worktree = WorkTree.at(folder / "tree", scratch)
        self.kbuild = Kbuild(self.worktree.path, folder / "out", compiler, jobs, sandbox)
        self.kbuild.recover()

    def close(self) -> None:
        """Let another process have the folder."""
        self._turn.end()

    def get(self, tree: str, log: Path, what: str) -> Image:
        """Return the kernel of a tree without modules; raise BuildFailure if it cannot be linked."""
        key = kernel_key(self.scratch, tree, self.kbuild.compiler, self.options)
        place = self.folder / "images" / key[:16]
        if not (place / "done").exists():
            self._build(tree, key, log, what)
            self._keep(place)
        (place / "done").touch()
        return Image(place / "bzImage", place / "vmlinux")

    def with_modules(self, image: Image, tree: str, files: Mapping[str, bytes], log: Path, what: str) -> Image:
        """Return the kernel of a tree with modules made of `files`; raise BuildFailure if they cannot be built."""
        place = image.kernel.parent
        own = place / f"modules-{digest({name: text.decode('latin-1') for name, text in files.items()})[:16]}"
        if not (own / "done").exists():
            self.worktree.move(tree)
            self._build_modules(place / "devel", own, files, log, what)
        return replace(image, modules={path.stem: path for path in sorted(own.glob("*.ko"))})

    def libbpf(self, tree: str, log: Path) -> Path:
        """Return the folder with libbpf.a and include/bpf/ of a tree."""
        key = libbpf_key(self.scratch, tree)
        place = self.folder / "libbpf" / key[:16]
        if not (place / "done").exists():
            self.progress("boot: building libbpf")
            self.worktree.move(tree)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            argv: list[str | Path] = [
                "make",
                "-C",
                self.worktree.path / "tools/lib/bpf",
                f"-j{self.kbuild.jobs}",
                f"OUTPUT={place}/",
            ]
            goals = [f"DESTDIR={place}", "prefix=", "V=0", "install_headers", f"{place}/libbpf.a"]
            inside = self.kbuild.inside(self.worktree.path, place)
            done = run([*argv, *goals], log=log, check=False, timeout=900, inside=inside)
            if done.returncode:
                raise BuildFailure("tools", f"libbpf of the kernel's tools/ cannot be built; see {log}")
            write_anew(place / "done", "")
        return place

    def _build(self, tree: str, key: str, log: Path, what: str) -> None:
        """Have the kernel of a tree in the output folder."""
        stamp = self.kbuild.out / ".patchbot-kernel"
        if stamp.exists() and stamp.read_text() == key:
            return
        stamp.unlink(missing_ok=True)
        if not (self.worktree.path / "Makefile").exists():
            self.progress("boot: checking out the kernel for the first time")
        self.worktree.move(tree)
        kconfigs = self.worktree.path.rglob("Kconfig*")
        symbols = defined_symbols(p.read_text(encoding="utf-8", errors="replace") for p in kconfigs if p.is_file())
        configured = configure(self.kbuild, self.options, symbols, log)
        if not configured.btf:
            raise ToolError("CONFIG_DEBUG_INFO_BTF is off; does the kernel accept this pahole?")
        self.progress(
            f"boot: linking the kernel of the {what} (about 10 minutes on two processors, if all of it is new)"
        )
        image = self.kbuild.out / "arch/x86/boot/bzImage"
        image.unlink(missing_ok=True)
        said = self.kbuild.make([*FIXED, "bzImage", "modules"], log, timeout=7200)
        if not image.exists() or not (self.kbuild.out / "Module.symvers").exists():
            raise BuildFailure(what, f"the kernel of the {what} cannot be linked; see {log}:\n{complaints(said)}")
        write_anew(stamp, key)

    def _keep(self, place: Path) -> None:
        """Keep what a boot needs of the kernel in the output folder."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        shutil.copyfile(self.kbuild.out / "arch/x86/boot/bzImage", place / "bzImage")
        objcopy = f"{self.kbuild.compiler.cross}objcopy"
        run([objcopy, "--strip-debug", self.kbuild.out / "vmlinux", place / "vmlinux"])
        for name in DEVEL:
            source, target = self.kbuild.out / name, place / "devel" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, target, symlinks=True)
            elif source.exists():
                shutil.copy2(source, target, follow_symlinks=False)
        (place / "devel/vmlinux").hardlink_to(place / "vmlinux")
        (place / "done").touch()
        old = sorted(place.parent.iterdir(), key=lambda p: (p / "done").stat().st_mtime if (p / "done").exists() else 0)
        for folder in old[:-KEPT]:
            shutil.rmtree(folder)

    def _build_modules(self, devel: Path, place: Path, files: Mapping[str, bytes], log: Path, what: str) -> None:
        """Build external modules against what was kept of a kernel."""
        kbuild = replace(self.kbuild, out=devel)
        self.progress(f"boot: building test modules for the {what}")
        source = self.folder / "modules"
        shutil.rmtree(source, ignore_errors=True)
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
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
                run([f"{self.kbuild.compiler.cross}objcopy", "--strip-debug", ko, place / ko.name])
        (place / "done").touch()


def wanted_modules(makefile: str, folder: Path) -> list[str]:
    """Return the modules that a Makefile's `obj-m` names, of those whose source is there."""
    names = re.findall(r"(?<![\w-])([\w-]++)\.o\b", " ".join(re.findall(r"^obj-m\s*[:+]?=(.*)$", makefile, re.M)))
    return [name for name in names if (folder / f"{name}.c").exists()]


def complaints(said: str, most: int = 8) -> str:
    """Return the lines of make's output that say what is wrong."""
    rows = [
        r for r in said.splitlines() if re.search(r"\berror\b|\bundefined\b|FAILED|inconsistent|\*\*\*|WARN: ", r, re.I)
    ]
    return "\n".join((rows or said.splitlines())[:most])


def kernel_key(scratch: Scratch, tree: str, compiler: Compiler, options: Mapping[str, str]) -> str:
    """Return what a kernel is made of: the parts of the tree, the tools, the configuration."""
    parts = [row for row in scratch.folder(tree).items() if row[0] not in APART and row[0] != "tools"]
    parts += [row for row in scratch.folder(f"{tree}:tools").items() if row[0] in TOOLS]
    return digest([parts, compiler.cc, compiler.cross, compiler.versions, dict(options)])


def libbpf_key(scratch: Scratch, tree: str) -> str:
    """Return what libbpf is made of."""
    return digest(scratch.ls(tree, *LIBBPF))
