"""Tests of checks/compiled.py: real make and a real compiler on the tiny kernel, then on a real one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RealKernel
from damage import STRICT, damaged
from subjects import make_subject
from tinytree import bounds, with_bounds
from toolchain import needs_s390

from patchbot.build.coverage import Coverage, Where
from patchbot.c.source import parse
from patchbot.checking.check import Outcome, Subject, load
from patchbot.errors import Unfinished
from patchbot.git.repo import Repo
from patchbot.model import Covered, Status

LACKING = [tool for tool in ("gcc", "make", "pahole", "perl") if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {LACKING}")

CPUMASK, NET = "kernel/bpf/cpumask.c", "net/core/xdp.c"
WANTED = "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_CGROUPS=y\nCONFIG_SCHED_CLASS_EXT=y\n"
Change = Mapping[str, bytes]


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    file = tmp_path / "wanted.config"
    file.write_text(WANTED)
    return file


def subject_of(
    tiny: Repo, where: Path, wanted: Path, changes: Sequence[Change], base: str = "HEAD", **build: Any
) -> Subject:
    """Return a series of which each patch makes one change."""
    commits = [(f"patch {n}\n\nbody\n", change) for n, change in enumerate(changes, 1)]
    subject = make_subject(tiny, base, commits, where)
    return replace(subject, tables={"build": {"config": str(wanted), **build}})


def run_all(subject: Subject) -> list[Outcome]:
    check = load("compiled")
    assert check.patch is not None
    return [check.patch(subject, item) for item in subject.items]


def text(tiny: Repo, path: str) -> bytes:
    data = tiny.read(tiny.resolve("HEAD"), path)
    assert data is not None
    return data


def added(tiny: Repo, path: str, more: str) -> Change:
    return {path: text(tiny, path) + more.encode()}


def found(outcome: Outcome) -> list[tuple[int | None, str]]:
    return [(f.line, f.type) for f in outcome.findings]


def lines_of(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.log is not None
    return list(json.loads(outcome.log.with_suffix(".json").read_text())["lines"])


def test_all_lines_are_compiled(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    more = "\nint all_fine(int x);\n\n/* of no importance */\nint all_fine(int x)\n{\n\treturn x;\n}\n"
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, more)]))
    assert (outcome.status, outcome.findings, outcome.examined) == (Status.PASS, (), 5), outcome
    assert outcome.reason == "5 of 5 lines compiled (x86 campaign 5); 3 more hold nothing to compile"
    last = len((text(tiny, CPUMASK) + more.encode()).splitlines())
    by = "x86 campaign, kernel/bpf/cpumask.o"
    assert outcome.covered == (Covered(CPUMASK, last - 6, last - 6, by), Covered(CPUMASK, last - 3, last, by))
    assert lines_of(outcome)[-1] == {
        "file": CPUMASK,
        "first": last - 3,
        "last": last,
        "compiled": True,
        "arch": "x86",
        "config": "campaign",
        "object": "kernel/bpf/cpumask.o",
        "source": CPUMASK,
        "module": "",
    }


#: Lines of C, and which of them reach the compiler: those that are marked with +, not those with -, and = is nothing.
FORMS = """\
+ #include <linux/stringify.h>
+ #include \\
+ 	<linux/types.h>
- #define NEVER_USED(x) ((x) + 1)
+ #define USED(x) ((x) + 1)
+ #define EMPTY
+ #define ON_LINES(x) \\
+ 	do { \\
=		/* a remark */ \\
+ 		(void)(x); \\
+ 	} while (0)
- #define NEVER_ON_LINES(x) \\
- 	(x)
+ #define PASTE(a, b) a##b
+ #define DROP(a, b) a
+ #define TEXT(x) #x
+ #define IN_IF 3
+ #if IN_IF > 2
+ int forms(int x);
- #elif IN_IF > 1
- int forms(char x);
- #if IN_IF
- int nested;
- #endif
+ #else
- int forms(long x);
+ #endif
+ #if IN_IF > 7
- int seven;
+ #elif IN_IF > 5 && \\
+ 	IN_IF < 7
- int five;
+ #endif
+ #define MINUS -1
+ #if MINUS < 0
+ #endif
- #define MINUS_ONE - \\
- 	1
+ #define ALIAS MINUS
+ #if ALIAS < 0
+ #endif
+ #define CAT_(a, b) a##b
+ #define CAT(a, b) CAT_(a, b)
+ #define VARIANT fast
+ #define CALL_fast(x) \\
+ 	((x) + 1)
- #define CALL_slow(x) \\
- 	((x) + 2)
+ int pasted = CAT(CALL_,
+ 		 VARIANT)(3);
+ #ifdef EMPTY
+ #undef EMPTY
+ #endif
+ #ifdef CONFIG_NO_SUCH
- int no_such;
- #define IN_THERE(x) (x)
+ #endif
=
+ int forms(int x)
+ {
= 	// a remark
+ 	static const char *text = TEXT(one
- 				       two);
+ 	int PASTE(one,
+ 		  two) = DROP(x,
- 			      no matter what);
+ 	const char *more = "a" \\
+ 		"string";
+
+ 	ON_LINES(text);
+ 	ON_LINES(more); /* and
=	 * a remark
+	 */ ON_LINES(x);
+ 	return USED
+ 		(onetwo);
+ }
+ asm(".pushsection .discard\\n" TEXT(.long
+ 	2) "\\n.popsection");
"""


def forms() -> tuple[str, dict[int, str]]:
    """Return the text of FORMS and what is said of each line."""
    rows = [line for line in FORMS.splitlines() if line[2:] or line[:1] != "+"]
    return "".join(f"{row[1:].removeprefix(' ')}\n" for row in rows), {n: row[0] for n, row in enumerate(rows, 1)}


def test_each_form_of_c_tells_whether_it_is_compiled(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code, expected = forms()
    makefile = text(tiny, "kernel/bpf/Makefile") + b"obj-y += forms.o\n"
    subject = subject_of(
        tiny, tmp_path, wanted, [{"kernel/bpf/forms.c": code.encode(), "kernel/bpf/Makefile": makefile}]
    )
    (outcome,) = run_all(subject)
    assert outcome.status is Status.WARN
    said = {}
    for row in lines_of(outcome):
        sign = {True: "+", False: "-", None: "="}[row["compiled"]]
        said.update(dict.fromkeys(range(row["first"], row["last"] + 1), sign))
    shown = code.splitlines()
    build = subject.work / "build"
    make = [
        "make",
        "-s",
        "-C",
        str(build / "tree"),
        f"O={build / 'out'}",
        f"KCFLAGS={' '.join(STRICT)}",
        "kernel/bpf/forms.o",
    ]
    for number in (n for n, sign in expected.items() if sign != "="):
        (build / "tree/kernel/bpf/forms.c").write_bytes(damaged(code.encode(), number))
        done = subprocess.run(make, capture_output=True, text=True)
        assert (done.returncode != 0) == (expected[number] == "+"), (number, shown[number - 1], done.stderr)
    assert [(n, said[n], shown[n - 1]) for n in said if said[n] != expected[n]] == []


def test_each_reason_is_told_with_its_place(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    never = b'\nconfig NEVER\n\tbool "Never"\n\tdepends on NET && !NET\n'
    code = "\n#ifdef CONFIG_NEVER\nint one;\nint two;\n#endif\n#define UNUSED 1\n"
    changes = {
        **added(tiny, CPUMASK, code),
        "Kconfig": text(tiny, "Kconfig") + never,
        "net/core/Makefile": text(tiny, "net/core/Makefile") + b"obj-$(CONFIG_NEVER) += one.o\n",
        "net/core/one.c": b"int in_one;\n",
        "include/linux/lonely.h": b"int lonely;\n",
        "tools/perf/some.c": b"int some;\n",
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [changes]))
    assert outcome.status is Status.WARN
    line = len(text(tiny, CPUMASK).splitlines()) + 3
    among = "in what was compiled (kernel/bpf/cpumask.o)"
    assert [(f.file, f.line, f.type, f.message) for f in outcome.findings] == [
        *(
            ("include/linux/lonely.h", 1, "NOT_INCLUDED", "line 1 not compiled: nothing that was compiled includes it"),
            (
                *(CPUMASK, line, "UNDER_IF"),
                f"lines {line} to {line + 1} not compiled: under #if defined(CONFIG_NEVER), which held in no"
                " configuration that was tried",
            ),
            (
                *(CPUMASK, line + 3, "NOT_EXPANDED"),
                f"line {line + 3} not compiled: nothing expands the macro UNUSED {among}",
            ),
            (
                *("net/core/one.c", 1, "NOT_CONFIGURED"),
                "line 1 not compiled: no Makefile lists it in a configuration that was tried: it needs CONFIG_NEVER",
            ),
            ("tools/perf/some.c", 1, "NOT_KERNEL", "line 1 not compiled: it is not part of the kernel"),
        )
    ]
    assert outcome.reason.startswith("2 of 8 lines compiled (x86 campaign 2)")


def test_a_file_that_does_not_compile_fails(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad, still = "int unfinished = ;\n", "int unfinished = ;\nint other;\n"
    first, second = run_all(
        subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, bad), added(tiny, CPUMASK, still)])
    )
    assert [(f.status, f.file, f.type) for f in first.findings if f.status is Status.FAIL] == [
        (Status.FAIL, CPUMASK, "BUILD")
    ]
    assert "expected expression before" in first.findings[0].message
    assert first.status is Status.FAIL
    assert (second.status, [f.type for f in second.findings]) == (Status.WARN, ["NO_OBJECT"])
    assert "it did not before the patch either" in second.findings[0].message


@pytest.mark.parametrize(
    "code",
    [
        'void never(void) __attribute__((error("too large")));\nint sized(void)\n{\n\tnever();\n\treturn 0;\n}\n',
        'asm("no_such_instruction");\n',
    ],
)
def test_what_fails_late_in_a_compiler_fails(tiny: Repo, tmp_path: Path, wanted: Path, code: str) -> None:
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, NET, code)]))
    fails = [f for f in outcome.findings if f.status is Status.FAIL]
    assert [(f.file, f.type) for f in fails] == [(NET, "BUILD")], outcome


def test_a_tree_cannot_say_that_its_lines_are_compiled(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    words = [f"patchbot_{tag}{n}_" for tag in ("", "mark_", "0_", "0123456789abcdef_") for n in range(9)]
    code = "".join(f"extern int {word};\n" for word in words) + "#if 0\nint never;\n#endif\n"
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, code)], allyesconfig=False))
    line = len((text(tiny, CPUMASK) + code.encode()).splitlines()) - 1
    assert found(outcome) == [(line, "UNDER_IF")]


def test_what_a_macro_drops_is_said_to_be_dropped(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code = "#ifdef CONFIG_BPF_SYSCALL\n#define FIRST(a, b) a\nint kept = FIRST(1,\n\t2);\n#endif\n"
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, code)]))
    assert [f.type for f in outcome.findings] == ["DROPPED"]


def test_a_header_that_the_build_makes_decides_about_lines(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    old = text(tiny, CPUMASK)
    code = b"\n#include <generated/bounds.h>\n#if SECOND\nint second;\n#else\nint first;\n#endif\n"
    changes = [
        with_bounds(tiny, "SECOND 0"),
        {CPUMASK: old + code},
        {CPUMASK: old},
        {"kernel/bounds.c": bounds("SECOND 1")},
        {CPUMASK: old + code},
    ]
    outcomes = run_all(subject_of(tiny, tmp_path, wanted, changes, allyesconfig=False))
    at = len(old.splitlines()) + 4
    assert [found(outcomes[n]) for n in (1, 4)] == [[(at, "UNDER_IF")], [(at + 2, "UNDER_IF")]]


def test_what_the_campaigns_configuration_lacks_is_compiled_in_another(
    tiny: Repo, tmp_path: Path, wanted: Path
) -> None:
    changes = {
        **added(tiny, NET, "int in_net;\n"),
        **added(tiny, CPUMASK, "#ifdef CONFIG_MPTCP\nint with;\n#endif\n"),
        "Kconfig": text(tiny, "Kconfig") + b'\nconfig SAMPLES\n\tbool "Samples"\n',
        "Kbuild": text(tiny, "Kbuild") + b"obj-$(CONFIG_SAMPLES) += samples/\n",
        "samples/Makefile": b"obj-y += sample.o\n",
        "samples/sample.c": b"int sample;\n",
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [changes]))
    assert outcome.status is Status.PASS, outcome
    assert outcome.reason == "5 of 5 lines compiled (x86 allyesconfig 3, x86 campaign 2)"
    rows = {row["file"]: (row["config"], row["object"]) for row in lines_of(outcome)}
    assert rows[NET] == ("allyesconfig", "net/core/xdp.o")
    assert rows["samples/sample.c"] == ("allyesconfig", "samples/sample.o")
    subject = subject_of(tiny, tmp_path, wanted, [changes], allyesconfig=False)
    (outcome,) = run_all(subject)
    assert [f.type for f in outcome.findings] == ["UNDER_IF", "NOT_CONFIGURED", "NOT_CONFIGURED"]


def test_a_header_is_compiled_by_what_includes_it_and_its_macros_by_what_uses_them(
    tiny: Repo, tmp_path: Path, wanted: Path
) -> None:
    header = "include/linux/ours.h"
    changes = {
        header: b"#ifndef OURS_H\n#define OURS_H\n#define OURS(x) (x)\nint ours(void);\n#endif\n",
        "net/core/user.c": b"#include <linux/ours.h>\n",
        "net/mptcp/user.c": b"#include <linux/ours.h>\nint ours(void)\n{\n\treturn OURS(1);\n}\n",
        **{
            f"net/{name}/Makefile": text(tiny, f"net/{name}/Makefile") + b"obj-y += user.o\n"
            for name in ("core", "mptcp")
        },
    }
    more = {header: changes[header].replace(b"(x)\n", b"((x) + 1)\n")}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [changes, more]))
    assert (first.status, second.status) == (Status.PASS, Status.PASS), (first, second)
    assert second.reason == "1 of 1 line compiled (x86 allyesconfig 1)"
    assert [row["object"] for row in lines_of(second)] == ["net/mptcp/user.o"]


def test_a_header_is_found_by_its_name_in_other_folders(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    changes = {
        "net/core/own/deep.h": b"int deep;\n",
        "net/core/own/less_deep.h": b'#include "deep.h"\n',
        "net/core/other/user.c": b'#include "../own/less_deep.h"\n',
        "net/core/other/Makefile": b"obj-y += user.o\n",
        "net/core/Makefile": text(tiny, "net/core/Makefile") + b"obj-y += other/\n",
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [changes]))
    assert (outcome.status, outcome.reason) == (Status.PASS, "3 of 3 lines compiled (x86 allyesconfig 3)")


def test_a_header_is_compiled_by_who_sets_what_it_asks_for(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """As <trace/define_trace.h> does: one of many users of a header of events has it included again."""
    events = b"""\
#if !defined(EVENTS_H) || defined(EVENTS_AGAIN)
#define EVENTS_H
#ifndef EVENT
#define EVENT(x)
#endif
EVENT(int
      event)
#undef EVENT
#endif
#include <linux/make_events.h>
"""
    make = b"""\
#ifdef CREATE_EVENTS
#undef CREATE_EVENTS
#define EVENTS_AGAIN
#define EVENT(x) x;
#include <linux/events.h>
#undef EVENTS_AGAIN
#endif
"""
    names = [f"user{number}" for number in range(6)]
    changes = {
        "include/linux/make_events.h": make,
        "include/linux/events.h": events.replace(b"event)", b"other)"),
        **{f"kernel/bpf/{name}.c": b"#include <linux/events.h>\n" for name in names},
        "kernel/bpf/user5.c": b"#define CREATE_EVENTS\n#include <linux/events.h>\n",
        "kernel/bpf/Makefile": text(tiny, "kernel/bpf/Makefile")
        + f"obj-y += {' '.join(n + '.o' for n in names)}\n".encode(),
    }
    more = {"include/linux/events.h": events}
    _, outcome = run_all(subject_of(tiny, tmp_path, wanted, [changes, more], allyesconfig=False))
    assert outcome.reason == "1 of 1 line compiled (x86 campaign 1)", outcome
    assert [row["object"] for row in lines_of(outcome)] == ["kernel/bpf/user5.o"]


def test_what_a_header_is_made_from_is_compiled(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    subject = subject_of(tiny, tmp_path, wanted, [with_bounds(tiny, "FIRST 1")], allyesconfig=False)
    (outcome,) = run_all(subject)
    assert (outcome.status, [row["object"] for row in lines_of(outcome)]) == (Status.PASS, ["kernel/bounds.o"]), outcome


@pytest.mark.parametrize(
    "end", ["kill -9 $$", "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1"]
)
def test_a_compiler_that_is_killed_proves_nothing(tiny: Repo, tmp_path: Path, wanted: Path, end: str) -> None:
    compiler, cause = tmp_path / "mycc", tmp_path / "cause"
    compiler.write_text(f"""#!/bin/sh\n[ -e {cause} ] && case "$*" in *cpumask.c*-E*) {end};; esac\nexec gcc "$@"\n""")
    compiler.chmod(0o755)
    cause.touch()
    change = added(tiny, CPUMASK, "#if 0\nint never;\n#endif\n")
    subject = subject_of(tiny, tmp_path, wanted, [change], allyesconfig=False, cc=str(compiler))
    with pytest.raises(Unfinished, match=r"was killed|Killed"):
        run_all(subject)
    cause.unlink()
    (outcome,) = run_all(subject)
    assert [f.type for f in outcome.findings] == ["UNDER_IF"]


def test_an_object_that_another_folder_lists(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """Its flags are those of the Makefile that lists it, and of what that includes."""
    folder = b"$(patsubst %/,%,$(dir $@))"
    makefile = text(tiny, "Makefile").replace(folder, b"$(firstword $(subst /../, ,%b))" % folder)
    changes = [
        {
            "Makefile": makefile,
            "lib/moved.c": b"int moved = VALUE;\n",
            "kernel/bpf/Makefile": text(tiny, "kernel/bpf/Makefile") + b"include $(src)/objects.mk\n",
            "kernel/bpf/objects.mk": b"obj-y += ../../lib/moved.o\nKCFLAGS += -DVALUE=1\n",
        },
        {"kernel/bpf/objects.mk": b"obj-y += ../../lib/moved.o\nKCFLAGS += -DVALUE=1 -DMORE\n"},
        {"lib/moved.c": b"#ifdef MORE\nint moved = VALUE;\n#endif\n"},
        {"kernel/bpf/objects.mk": b"obj-y += ../../lib/moved.o\n"},
    ]
    outcomes = run_all(subject_of(tiny, tmp_path, wanted, changes, allyesconfig=False))
    assert [outcomes[n].status for n in (0, 2)] == [Status.PASS, Status.PASS], outcomes
    assert lines_of(outcomes[2])[0]["object"] == "kernel/bpf/../../lib/moved.o"


def test_a_link_holds_no_code(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    changes = [
        {
            "kernel/bpf/linked.c": b"cpumask.c",
            "kernel/bpf/Makefile": text(tiny, "kernel/bpf/Makefile") + b"obj-y += linked.o\n",
        },
        added(tiny, CPUMASK, "int more;\n"),
    ]
    commits = [(f"patch {n}\n\nbody\n", change) for n, change in enumerate(changes, 1)]
    subject = make_subject(tiny, "HEAD", commits, tmp_path, modes={"kernel/bpf/linked.c": "120000"})
    subject = replace(subject, tables={"build": {"config": str(wanted), "allyesconfig": False}})
    first, second = run_all(subject)
    assert (first.status, first.reason) == (Status.SKIP, "it adds or changes no line that a compiler reads")
    assert second.status is Status.PASS
    assert (subject.work / "build/tree/kernel/bpf/linked.c").is_symlink()


def test_what_the_assembler_does_not_come_to() -> None:
    coverage = Coverage.of({"entry.S": parse("entry.S", b"\t.if 0\n\t.long 1\n\t.endif\n")}, {"entry.S": [2]})
    (mark,) = coverage.left
    coverage.shown["entry.S"] = [Where("x86", "campaign", "entry.o")]
    coverage.only_text.add(mark)
    (finding,) = coverage.findings()
    assert (finding.type, finding.line) == ("NOT_ASSEMBLED", 2)


def test_what_only_becomes_text_is_no_code(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code = "#define OUR_TEXT(x) #x\nconst char *our_text = OUR_TEXT(one\n\ttwo);\n"
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, code)]))
    assert [f.type for f in outcome.findings] == ["ONLY_TEXT"]


def test_lines_with_one_reason_are_one_finding(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code = "#if 0\n" + "int x;\n/* not code */\n" * 9 + "int last;\nint lines;\n#endif\n"
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, code)], allyesconfig=False))
    (finding,) = outcome.findings
    at = len(text(tiny, CPUMASK).splitlines()) + 2
    six = ", ".join(str(at + 2 * n) for n in range(6))
    assert finding.line == at
    assert finding.message.startswith(f"lines {six} and in 4 more places not compiled: under #if 0, which held in no")


def test_a_patch_without_code_is_skipped(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    changes = [{"Documentation/new.rst": b"New\n"}, added(tiny, CPUMASK, "\n/* end */\n")]
    first, second = run_all(subject_of(tiny, tmp_path, wanted, changes))
    assert first.status is second.status is Status.SKIP
    assert first.reason == "it adds or changes no line that a compiler reads"


def test_nothing_is_asked_twice_and_the_tree_is_left_as_it_was(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    subject = subject_of(tiny, tmp_path, wanted, [added(tiny, CPUMASK, "int one;\n")])
    (first,) = run_all(subject)
    assert first.log is not None
    log = first.log.read_text()
    assert "\n$ make" in log
    tree = subject.work / "build/tree"
    assert (tree / CPUMASK).read_bytes() == text(tiny, CPUMASK) + b"int one;\n"
    (again,) = run_all(subject)
    assert "\n$ make" not in first.log.read_text()
    assert replace(again, log=None) == replace(first, log=None)


def test_patches_in_a_row_are_looked_at_together(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    later = '#include "local.h"\n#ifdef LATER\nint later;\n#endif\n'
    changes = [
        {"kernel/bpf/local.h": b"int local;\n", **added(tiny, "kernel/bpf/core.c", '#include "local.h"\n')},
        added(tiny, CPUMASK, later),
        added(tiny, NET, "int in_net;\n"),
        {"kernel/bpf/local.h": b"int local;\n#define LATER\n"},
        added(tiny, "kernel/bpf/core.c", '#include "local.h"\nint last;\n'),
    ]
    subject = subject_of(tiny, tmp_path, wanted, changes)
    alone = run_all(subject)
    shutil.rmtree(subject.work)
    subject.work.mkdir()
    rest, pending = subject.items[1:], {item.id for item in subject.items[1:]}
    check = load("compiled").patch
    assert check is not None
    together = [check(replace(subject, pending=pending), item) for item in rest]
    assert pending == set()
    for one, other in zip(alone[1:], together, strict=True):
        assert (one.status, one.findings, one.covered) == (other.status, other.findings, other.covered)
    # At the last of them LATER is defined, and at its own commit it is not.
    assert [f.type for f in together[0].findings] == ["UNDER_IF"]
    logs = [outcome.log.read_text() for outcome in together if outcome.log]
    # All was asked with the first one, but for what the header has a part in.
    assert ["kernel/bpf/cpumask.o" in log for log in logs] == [True, False, False, False]
    assert "net/core/xdp.o" in logs[0]
    assert "\n$ make" not in logs[1] + logs[3]


S390 = {"arch/s390/Makefile": b"obj-y += bpf.o\n", "arch/s390/bpf.c": b"int in_s390;\n"}


def in_s390(tiny: Repo) -> Change:
    """Return a change with code below arch/s390, under an #if, and in a driver for s390 alone."""
    return {
        **S390,
        "Kbuild": text(tiny, "Kbuild") + b"obj-$(CONFIG_S390) += arch/s390/\n",
        "Kconfig": text(tiny, "Kconfig") + b'\nconfig CCW\n\tbool "Channels"\n\tdepends on S390\n',
        "net/core/Makefile": text(tiny, "net/core/Makefile") + b"obj-$(CONFIG_CCW) += ccw.o\n",
        "net/core/ccw.c": b"int in_ccw;\n",
        **added(tiny, CPUMASK, "#ifdef CONFIG_S390\nint in_an_if;\n#endif\n"),
    }


@needs_s390
def test_another_architecture_compiles_what_x86_cannot_have(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [in_s390(tiny)]))
    assert outcome.status is Status.PASS, outcome
    assert outcome.reason == "5 of 5 lines compiled (s390 allyesconfig 3, x86 campaign 2)"
    assert {row["file"]: row["arch"] for row in lines_of(outcome) if row["first"] == row["last"] == 1} == {
        "arch/s390/bpf.c": "s390",
        "net/core/ccw.c": "s390",
    }
    assert "ARCH=s390" in outcome.reproduce


@pytest.mark.usefixtures("no_cross_compiler")
def test_a_compiler_that_is_missing_is_named_with_its_package(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [in_s390(tiny)]))
    assert outcome.status is Status.WARN
    assert [(f.file, f.type) for f in outcome.findings] == [
        ("arch/s390/bpf.c", "NO_COMPILER"),
        (CPUMASK, "NO_COMPILER"),
        ("net/core/ccw.c", "NO_COMPILER"),
    ]
    package = "for s390: s390x-linux-gnu-gcc is not installed, Debian has it in the package gcc-s390x-linux-gnu"
    assert all(package in f.message for f in outcome.findings)


def test_a_configuration_is_made_for_what_all_others_lack(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    other = "#if !defined(CONFIG_CGROUPS) && defined(CONFIG_NET)\nint with_net;\n#endif\n"
    changes = {
        "Kconfig": text(tiny, "Kconfig") + b'\nconfig SMALL\n\tbool "Small"\n\tdepends on !NET\n',
        "kernel/bpf/Makefile": text(tiny, "kernel/bpf/Makefile") + b"obj-$(CONFIG_SMALL) += small.o\n",
        "kernel/bpf/small.c": b"int in_small;\n",
        "kernel/bpf/core.c": text(tiny, "kernel/bpf/core.c") + b"#ifndef CONFIG_CGROUPS\nint without;\n#endif\n",
        **added(tiny, CPUMASK, other),
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [changes]))
    assert outcome.status is Status.PASS, outcome
    # What needs no network cannot be with what needs it; all else is together.
    rows = [row for row in lines_of(outcome) if row["compiled"]]
    assert {row["file"]: row["config"] for row in rows if row["config"] != "campaign"} == {
        "kernel/bpf/core.c": "allyesconfig with CGROUPS=n NET=y",
        CPUMASK: "allyesconfig with CGROUPS=n NET=y",
        "kernel/bpf/small.c": "allyesconfig with NET=n SMALL=y",
    }
    where = tmp_path / "worktree"
    shutil.copytree(tmp_path / "work/build/tree", where)
    steps = outcome.reproduce.split(" && ")
    done = subprocess.run(["sh", "-c", " && ".join(steps[2:])], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (where / "out-made/kernel/bpf/small.o").exists()


PROGRAM = r"""
	@mkdir -p $(output)/tools/prog
	@cd $(srctree)/tools/prog && gcc -I. -c -o $(output)/tools/prog/main.o main.c
	@cd $(output)/tools/prog; printf > .main.o.cmd '%s\n' \
		'cmd_$(output)/tools/prog/main.o := gcc -Wp,-MT,x -D"T=$$(pound)" -c -o $(output)/tools/prog/main.o main.c' \
		'source_$(output)/tools/prog/main.o := main.c' 'deps_$(output)/tools/prog/main.o := \'
	@echo '  $(srctree)/tools/prog/ours.h \' >> $(output)/tools/prog/.main.o.cmd
"""


def test_a_program_that_the_build_runs_is_compiled(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    makefile, rule = text(tiny, "Makefile"), b"auto.conf\n\t@:\n"
    assert makefile.count(rule) == 1
    changes = {
        "Makefile": makefile.replace(rule, b"auto.conf" + PROGRAM.encode()),
        "tools/prog/main.c": b'#include "ours.h"\nint main(void)\n{\n#if 0\n\treturn 1;\n#endif\n\treturn OURS;\n}\n',
        "tools/prog/ours.h": b"#define OURS 0\n",
        "tools/prog/other.c": b"int other;\n",
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [changes]))
    assert [(f.file, f.line, f.type) for f in outcome.findings] == [
        ("tools/prog/main.c", 5, "UNDER_IF"),
        ("tools/prog/other.c", 1, "NOT_KERNEL"),
    ]
    assert {row["object"] for row in lines_of(outcome) if row["compiled"]} == {"tools/prog/main.o"}


def test_no_configuration_is_made_for_what_was_read(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code = "#ifdef CONFIG_BPF_SYSCALL\n#define UNUSED(x) (x)\nconst char *some = __stringify(one\n\ttwo);\n#endif\n"
    change = {CPUMASK: b"#include <linux/stringify.h>\n" + text(tiny, CPUMASK) + code.encode()}
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [change]))
    assert [f.type for f in outcome.findings] == ["NOT_EXPANDED", "ONLY_TEXT"]
    assert "out-allmodconfig" in outcome.reproduce
    assert "out-made" not in outcome.reproduce


@pytest.mark.kernel
@pytest.mark.slow
def test_patches_of_a_real_kernel(kernel73: RealKernel, tmp_path: Path, wanted: Path) -> None:
    rows, header = "kernel/bpf/map_iter.c", "include/linux/bpf.h"
    old = {path: kernel73.repo.read(kernel73.commit, path) or b"" for path in (rows, header)}
    more = b"\n#define PATCHBOT_UNUSED 1\n#if 0\nint never;\n#endif\nint patchbot_there;\n"
    last = old[header].rindex(b"#endif")
    changes = [
        {rows: old[rows] + more},
        {header: old[header][:last] + b"struct patchbot_line;\n" + old[header][last:]},
        {"drivers/s390/char/raw3270.c": b"int patchbot_s390;\n"},
    ]
    subject = subject_of(kernel73.repo, tmp_path, wanted, changes, kernel73.commit, allyesconfig=False, arch=())
    for pending in (set[str](), {item.id for item in subject.items}):
        first, second, third = run_all(replace(subject, pending=pending))
        line = len(old[rows].splitlines()) + 2
        assert found(first) == [(line, "NOT_EXPANDED"), (line + 2, "UNDER_IF")]
        assert first.reason == "3 of 5 lines compiled (x86 campaign 3); 1 more hold nothing to compile"
        assert (second.status, second.reason) == (Status.PASS, "1 of 1 line compiled (x86 campaign 1)")
        assert found(third) == [(1, "NOT_CONFIGURED")]
