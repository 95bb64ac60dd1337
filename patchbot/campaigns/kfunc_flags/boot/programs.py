"""Compile the rows to BPF objects with clang, and write the header that makes a module of the kfunc sets.

Each program is a separate object: one that calls a kfunc that the kernel lacks does not affect the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ....build.units import digest
from ....errors import ToolError, UserError
from ....progress import ticked
from ....run import run, which
from ..proof.meaning import IMPLICIT_ARGS
from .trials import Program, SetRow

CLANG = "clang-19"
FLAGS = ("-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wno-unused", "-Werror")
TYPES = {
    "tracing": "BPF_PROG_TYPE_TRACING",
    "syscall": "BPF_PROG_TYPE_SYSCALL",
    "tc": "BPF_PROG_TYPE_SCHED_CLS",
    "xdp": "BPF_PROG_TYPE_XDP",
}


def source(program: Program) -> str:
    """Return a program as C; a compiler's complaint gives the place of its row."""
    argument = f"#define ARG {program.argument}\n" if program.argument else ""
    return (
        f'#include "program.h"\n{argument}#line {program.line} "{program.row}"\n{program.declare}\n'
        f'SEC("{program.section}")\nint {program.name}(__u64 *ctx)\n{{\n\t{program.start}\n{program.body}\n'
        "\treturn 0;\n}\n"
    )


def compile_programs(programs: Sequence[Program], header: Path, libbpf: Path, folder: Path, jobs: int) -> list[Path]:
    """Compile programs against libbpf's headers and return their objects, `<name>.o` in `folder`.

    An object is reused as long as its source, the header and the compiler are the same.
    """
    clang = which(CLANG, CLANG)
    common = [run([clang, "--version"]).stdout.decode(), header.read_text(encoding="utf-8"), FLAGS, str(libbpf)]
    folder.mkdir(parents=True, exist_ok=True)

    def compile_one(program: Program) -> Path:
        text = source(program)
        key = digest([*common, text])
        obj = folder / f"{program.name}.o"
        stamp = folder / f"{program.name}.key"
        if obj.exists() and stamp.exists() and stamp.read_text() == key:
            return obj
        stamp.unlink(missing_ok=True)
        code = folder / f"{program.name}.bpf.c"
        code.write_text(text, encoding="utf-8")
        includes = [f"-I{header.parent}", f"-I{libbpf / 'include'}"]
        if said := complaint_of([clang, *FLAGS, *includes, "-c", code, "-o", obj]):
            raise UserError(f"the program {program.name} does not compile:\n{said}")
        stamp.write_text(key)
        return obj

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return list(ticked("compiling programs", pool.map(compile_one, programs), len(programs)))


#: What a row of a kfunc with implicit arguments begins with.
IMPLICIT = re.compile(rf"\((?:func, )?(\w+), {IMPLICIT_ARGS}\b")
#: Sets that follow are not marked as sets of kfuncs; the module marks them when it registers them.
HIDE = "#undef BTF_SET8_KFUNCS\n#define BTF_SET8_KFUNCS 0\n"


def sets_header(sets: Iterable[SetRow]) -> str:
    """Return the C that kfa_sets.c includes: the kfuncs, the sets, and the table of what to register in order."""
    rows = list(sets)
    parts = ["/* Made of programs.toml */\n__bpf_kfunc_start_defs();\n"]
    for row in rows:
        for kfunc in row.kfuncs:
            body = "" if re.match(r"void\s+\w", kfunc) else "\treturn NULL;\n"
            parts.append(f"__bpf_kfunc {kfunc}\n{{\n{body}}}\n")
    parts.append("__bpf_kfunc_end_defs();\n")
    implicit = dict.fromkeys(k for row in rows for k in IMPLICIT.findall(row.rows))
    if implicit:
        # Nobody registers this set: by it, resolve_btfids knows the kfuncs with implicit arguments.
        made = "".join(f"BTF_ID_FLAGS(func, {kfunc}, {IMPLICIT_ARGS})\n" for kfunc in implicit)
        parts.append(f"BTF_KFUNCS_START(kfa_implicit)\n{made}BTF_KFUNCS_END(kfa_implicit)\n")
    # Those that must be refused come last: resolve_btfids must not take them for sets of kfuncs.
    for row in sorted(rows, key=lambda row: row.refused is not None):
        if row.refused is not None and HIDE not in parts:
            parts.append(HIDE)
        # Each row of a set is a macro with an asm() in it: one a line, or the compiler's message names none.
        text = re.sub(r"\)\s*(?=(?:BTF_ID_FLAGS|BTF_KFUNC|RECORD)\()", ")\n", row.rows.strip())
        parts.append(f"BTF_KFUNCS_START(kfa_set_{row.name})\n{text}\nBTF_KFUNCS_END(kfa_set_{row.name})\n")
    table = [
        f'\t{{ "{row.name}", {TYPES.get(row.hook, "BPF_PROG_TYPE_UNSPEC")}, &kfa_set_{row.name} }},\n' for row in rows
    ]
    parts.append(f"static const struct kfa_set kfa_sets[] = {{\n{''.join(table)}}};\n")
    return "\n".join(parts)


def build_loader(source_file: Path, libbpf: Path, out: Path) -> None:
    """Link the loader statically; raise ToolError if that is impossible."""
    argv: list[str | Path] = ["gcc", "-static", "-O2", "-Wall", f"-I{libbpf / 'include'}", "-o", out, source_file]
    said = complaint_of([*argv, libbpf / "libbpf.a", "-lelf", "-lz"])
    if "zstd" in said:
        # Newer elfutils compress sections with zstd as well.
        said = complaint_of([*argv, libbpf / "libbpf.a", "-lelf", "-lz", "-lzstd"])
    if said:
        needed = "the static libraries of libelf-dev, zlib1g-dev, libzstd-dev and libc6-dev"
        raise ToolError(f"the loader cannot be linked; it needs {needed}:\n{said}")


def complaint_of(argv: Sequence[str | Path]) -> str:
    """Run a compiler and return the end of its output, "" if it succeeds."""
    done = run(argv, check=False, timeout=120)
    return (done.stderr.decode("utf-8", "replace")[-2000:] or "it did not say why") if done.returncode else ""
