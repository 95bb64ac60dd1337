"""Find the tools that compile: which ones, their versions, and the architecture that they make code for."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, replace
from functools import cache

from ..errors import MissingTool
from ..paths import expanded
from ..run import run, which
from .arches import X86, Arch
from .options import PAHOLE, BuildOptions

#: What a kernel's build needs, and the Debian packages that have it: programs, and headers for its host programs.
PROGRAMS = {
    **{name: name for name in ("bc", "bison", "flex", "gcc", "make", "perl")},
    "ld": "binutils",
    PAHOLE: "pahole or dwarves",
}
#: The clang that every kernel from 6.12 to 7.3 accepts (6.12 from 13.0.1 on, 7.3 from 17.0.1 on); make's LLVM=.
CLANG, LLVM = "clang-19", "-19"
#: {program: Debian package} of a build with LLVM= alone.
LLVM_PROGRAMS = {CLANG: CLANG, f"ld.lld{LLVM}": f"lld{LLVM}", f"llvm-ar{LLVM}": f"llvm{LLVM}"}
HOST_HEADERS = {"gelf.h": "libelf-dev", "zlib.h": "zlib1g-dev", "openssl/evp.h": "libssl-dev"}


@dataclass(frozen=True)
class Compiler:
    """CC=, the prefix of the binutils, the architecture, and all about the tools that can change a result.

    `llvm` is make's LLVM=, as `-19`, for clang with its own binutils.
    """

    cc: str
    cross: str
    versions: str
    arch: Arch = X86
    pahole: str = PAHOLE
    llvm: str = ""

    @property
    def name(self) -> str:
        """Return what is special about it, as a name for a folder: the architecture, or that it is clang."""
        return "clang" if self.llvm else self.arch.folder

    def variables(self) -> list[str]:
        """Return make's variables for the machine, the binutils and pahole."""
        found = [f"ARCH={self.arch.make}", *([f"CROSS_COMPILE={self.cross}"] if self.cross else [])]
        found += [f"LLVM={self.llvm}"] if self.llvm else []
        return [*found, *([f"PAHOLE={self.pahole}"] if self.pahole != PAHOLE else [])]


def find_compiler(cc: str | None, cross: str, ccache: bool | None, arch: Arch = X86, pahole: str = PAHOLE) -> Compiler:
    """Return the compiler to use; `ccache` None means "if it is installed".

    Raises MissingTool if it is missing or makes no code for `arch`, or if a header for the host programs is missing.
    """
    name = cc or f"{cross}gcc"
    words = shlex.split(name)
    which(words[0], arch.package if cross == arch.cross else "gcc")
    machine = run([*words, "-dumpmachine"]).stdout.decode().strip()
    if not machine.startswith(arch.machine) and "clang" not in name:
        raise MissingTool(
            f"{name} makes code for {machine}, and the check `build` compiles for {arch.make}; install"
            f" {arch.package} and set [checks.build] cross_compile = '{arch.cross}'"
        )
    # pahole decides about debug information, and the assembler about text passed to it.
    tools = [[*words, "--version"], [f"{cross}as", "--version"], [which(pahole, PAHOLE), "--version"]]
    versions = [run(argv).stdout.decode("utf-8", "replace").split("\n")[0] for argv in tools]
    lacking = [f"{h} (Debian: {package})" for h, package in HOST_HEADERS.items() if not has_header(h)]
    if lacking:
        raise MissingTool(f"the kernel's host programs need {', '.join(lacking)}")
    if ccache or (ccache is None and shutil.which("ccache")):
        which("ccache", "ccache")
        name = f"ccache {name}"
    return Compiler(name, cross, "; ".join(versions), arch, pahole)


#: The tools are asked for their versions once a run.
find_once = cache(find_compiler)


def clang_of(options: BuildOptions) -> Compiler:
    """Return clang with LLVM's binutils for x86, with the pahole and ccache that [checks.build] names."""
    found = compiler_of(replace(options, cc=CLANG, cross_compile=""))
    lld = run([which(f"ld.lld{LLVM}"), "--version"]).stdout.decode("utf-8", "replace").strip()
    return replace(found, versions=f"{found.versions}; {lld}", llvm=LLVM)


def has_header(name: str) -> bool:
    """Say whether the host compiler finds a header."""
    probe = f"#include <{name}>\n".encode()
    return run(["gcc", "-E", "-x", "c", "-o", os.devnull, "-"], stdin=probe, check=False).returncode == 0


def compiler_of(options: BuildOptions, arch: Arch = X86) -> Compiler:
    """Return the compiler that [checks.build] names, or the one for another architecture.

    Raises MissingTool that names its package.
    """
    named = (options.cc, options.cross_compile) if arch == X86 else (None, arch.cross)
    # A path is absolute, as make goes elsewhere.
    pahole = str(expanded(options.pahole).absolute()) if "/" in options.pahole else options.pahole
    return find_once(*named, options.ccache, arch, pahole)
