"""The check kunit: the tiny kernel gets suites that run on this machine, and what they say is booted in a real QEMU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RealKernel
from programs import needs, outcomes, places, subject_of
from subjects import make_subject
from tinytree import TINY, build, told

from patchbot.build import qemu
from patchbot.build.kunit import BASE, find_suites, switches_for, wanted_for
from patchbot.checking.check import Outcome, load
from patchbot.checking.tasks import run_task, tasks
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.model import Status

CODE, SUITE = "lib/sum.c", "lib/tests/sum_kunit.c"
SUM = b"int sum(int a, int b)\n{\n\treturn a + b;\n}\n"
CASES = b"""\
#include <kunit/test.h>

int sum(int a, int b);

static void small(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sum(1, 2), 3);
}

static void large(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sum(40, 2), 42);
}

static struct kunit_case cases[] = { KUNIT_CASE(small), KUNIT_CASE(large), {} };
static struct kunit_suite suite = { .name = "sum", .test_cases = cases };
kunit_test_suite(suite);
"""
#: Stands in for KUnit: each suite is a program.
HEADER = b"""\
#include <stdio.h>
#include <stdlib.h>
struct kunit { int failed; };
struct kunit_case { const char *name; void (*run)(struct kunit *test); };
struct kunit_suite { const char *name; struct kunit_case *test_cases; };
#define KUNIT_CASE(f) { #f, f }
#define SAY "    # %s: EXPECTATION FAILED at " PLACE ":%d\\n    Expected %s == %s, but\\n        %s == %d\\n"
#define KUNIT_EXPECT_EQ(test, a, b) do { if ((a) != (b)) { (test)->failed = 1; \\
	printf(SAY, __func__, __LINE__, #a, #b, #a, a); } } while (0)
#define kunit_skip(test, why) ((test)->failed = 2)
#define kunit_test_suite(suite) int main(void) { return run(&suite); }
static int run(struct kunit_suite *suite)
{
	const char *words[] = { "ok", "not ok", "ok" };
	int number = 1, failed = 0;

	printf("    KTAP version 1\\n    # Subtest: %s\\n", suite->name);
	for (struct kunit_case *c = suite->test_cases; c->name; c++, number++) {
		struct kunit test = { 0 };

		c->run(&test);
		failed |= test.failed == 1;
		printf("    %s %d %s%s\\n", words[test.failed], number, c->name, test.failed == 2 ? " # SKIP no" : "");
	}
	printf("%s 1 %s\\n", words[failed], suite->name);
	return 0;
}
"""
#: Makes a kernel that prints what the suites of the configuration say. `hang` and `flood` in it are done as well.
LINK = b"""\
set -e
cd "$2"
. ./include/config/auto.conf
{
	echo KTAP version 1
	echo 1..1
	if [ "$CONFIG_SUM_KUNIT_TEST" = y ]; then
		where=lib/tests/sum_kunit.c
		gcc -I"$1/scripts/host" -DPLACE="\\"$where\\"" -o suite "$1/$where" "$1/lib/sum.c"
		./suite
	fi
} >text
again='movb $0xfe, %al; outb %al, $0x64'
! grep -q hang text || again=
! grep -q flood text || again='jmp _start'
cat >kernel.s <<END
.section .multiboot, "a"
.long 0x1badb002, 0, -0x1badb002
.text
.globl _start
_start: mov \\$text, %esi
1: lodsb
test %al, %al
jz 2f
mov \\$0x3f8, %dx
outb %al, %dx
jmp 1b
2: $again
3: hlt
jmp 3b
text: .incbin "text"
.byte 0
END
as --32 kernel.s -o kernel.elf
mkdir -p arch/x86/boot
ld -m elf_i386 -Ttext=0x100000 --section-start=.multiboot=0xff000 kernel.elf -o arch/x86/boot/bzImage
"""
WISHES = b"CONFIG_NET=y\n# CONFIG_SUMS is not set\n"
GOAL = b"\nbzImage: $(output)/include/config/auto.conf\n\t$(Q)sh $(srctree)/scripts/link.sh $(srctree) $(output)\n"
KCONFIG = b"""
config KUNIT
	bool "KUnit"

config SUMS
	bool "Sums"

config SUM_KUNIT_TEST
	bool "Tests of sums" if !KUNIT_ALL_TESTS
	depends on KUNIT && SUMS
"""
KERNEL: Mapping[str, bytes | None] = {
    **told("Makefile", b"\nprepare modules_prepare:", GOAL + b"\nprepare modules_prepare:"),
    "Kbuild": (TINY / "Kbuild").read_bytes() + b"obj-y += lib/\n",
    "Kconfig": (TINY / "Kconfig").read_bytes() + KCONFIG,
    "lib/Makefile": b"obj-y := sum.o\nobj-y += tests/\n",
    "lib/tests/Makefile": b"obj-$(CONFIG_SUM_KUNIT_TEST) += sum_kunit.o\n",
    "scripts/host/kunit/test.h": HEADER,
    "scripts/link.sh": LINK,
    CODE: SUM,
    SUITE: CASES,
}


def changed(old: bytes, new: bytes, text: bytes = CASES) -> bytes:
    assert old in text
    return text.replace(old, new)


@pytest.fixture
def tree(tmp_path: Path) -> Repo:
    return build(tmp_path / "linux", KERNEL)


def judged(tree: Repo, tmp_path: Path, *changes: Mapping[str, bytes], **options: object) -> list[Outcome]:
    return outcomes("kunit", subject_of(tree, tmp_path / "s", changes, **options))


@needs("kunit")
def test_a_failure_belongs_to_the_patch_that_brought_it(tree: Repo, tmp_path: Path) -> None:
    bad = changed(b"a + b", b"a == 1 ? 4 : a + b", SUM)
    worse = changed(b"a + b", b"a == 1 ? 4 : 5", SUM)
    changes = [{CODE: b"\n" + SUM}, {CODE: bad}, {CODE: b"\n" + bad}, {CODE: worse}, {CODE: SUM}, {"lib/x.c": b"\n"}]
    good, broke, stays, more, mended, other = judged(tree, tmp_path, *changes)
    assert (good.status, good.reason, good.examined) == (Status.PASS, "2 cases of sum ran", 2)
    assert places(broke) == [("FAIL", SUITE, 7, "kunit")]
    assert broke.findings[0].message == "sum.small: Expected sum(1, 2) == 3"
    assert broke.log is not None
    assert "EXPECTATION FAILED" in broke.log.with_suffix(".serial.txt").read_text()
    assert (stays.status, stays.findings) == (Status.SKIP, ())
    assert stays.reason == "2 cases of sum ran; 1 fails at the parent, too"
    assert places(more) == [("FAIL", SUITE, 12, "kunit")], "the other one is not new"
    assert mended.status is Status.PASS
    assert (other.status, other.reason[:25]) == (Status.SKIP, "it touches no KUnit suite")
    assert broke.reproduce.endswith("kunit.py run --arch=x86_64 --kconfig_add=CONFIG_SUM_KUNIT_TEST=y")


@needs("kunit")
def test_a_kernel_that_does_not_come_to_the_end(tree: Repo, tmp_path: Path) -> None:
    panic = changed(b"KUNIT_EXPECT_EQ(test, sum(40", b'printf("Kernel panic - not syncing: x\\n"); exit(0);\n\t(sum(40')
    panic = panic.replace(b", 42);", b");")
    hang = changed(b"small(struct kunit *test)\n{", b'small(struct kunit *test)\n{\n\tprintf("hang\\n"); exit(0);')
    broken = changed(b"a + b", b"a + c", SUM)
    changes = [{SUITE: panic}, {SUITE: CASES}, {SUITE: hang}, {SUITE: CASES}, {CODE: broken}, {CODE: broken + b"\n"}]
    panics, _, hangs, fine, fails, still = judged(tree, tmp_path, *changes, timeout=8)
    assert places(panics) == [("FAIL", None, None, "stopped")]
    assert panics.findings[0].message == "the kernel panicked after sum.small: Kernel panic - not syncing: x"
    assert [f.message for f in hangs.findings] == ["the kernel hangs in sum: 8 s passed"]
    assert fine.status is Status.PASS
    assert places(fails)[0][:3] == ("FAIL", CODE, 3), fails
    assert (still.status, still.findings, still.examined) == (Status.SKIP, (), 0)


@needs("kunit")
def test_a_kernel_that_floods_is_an_error_and_the_next_one_goes_on(
    tree: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "MOST_SAID", 1 << 17)
    flood = changed(b"small(struct kunit *test)\n{", b'small(struct kunit *test)\n{\n\tprintf("flood\\n");')
    subject = subject_of(tree, tmp_path / "s", [{SUITE: flood}, {SUITE: CASES}], timeout=8)
    for _ in range(2):
        first, second = (
            r for t in tasks(load("kunit"), subject, subject.items, whole=True) for r in run_task(subject, t)
        )
        assert (first.status, second.status) == (Status.ERROR, Status.PASS)
        assert "the kernel said more than" in first.reason
    log = subject.log("kunit", subject.items[0])
    assert log.with_suffix(".serial.txt").stat().st_size == 1 << 17


@needs("kunit")
def test_what_did_not_run_is_no_pass(tree: Repo, tmp_path: Path) -> None:
    skipped = changed(b"KUNIT_EXPECT_EQ(test, sum(1, 2), 3)", b'kunit_skip(test, "no")')
    both = changed(b"KUNIT_EXPECT_EQ(test, sum(40, 2), 42)", b'kunit_skip(test, "no")', skipped)
    lacks = {"Kconfig": KERNEL["Kconfig"].replace(b"KUNIT && SUMS", b"KUNIT && NONE"), SUITE: CASES}  # type: ignore[union-attr]
    other = {SUITE: CASES.replace(b'"sum"', b"NAME").replace(b"#include", b'#define NAME "su" "m"\n#include', 1)}
    one, none, off, unknown = judged(tree, tmp_path, {SUITE: skipped}, {SUITE: both}, lacks, {**KERNEL, **other})
    assert (one.status, one.reason, one.examined) == (Status.PASS, "1 case of sum ran; 1 skipped", 1)
    assert (none.status, none.reason, none.examined) == (Status.SKIP, "2 skipped", 0)
    assert (off.status, off.reason) == (Status.SKIP, "none of its suites can be on here")
    assert places(off) == [("SKIP", SUITE, None, "not-run")]
    assert "CONFIG_SUM_KUNIT_TEST is off" in off.findings[0].message
    assert (unknown.status, unknown.findings[0].message) == (Status.SKIP, "its suite did not run")


def about(repo: Repo, where: Path, *changes: Mapping[str, bytes]) -> list[list[str]]:
    """Return the sources of the suites that each patch touches."""
    subject = make_subject(repo, "HEAD", [(f"lib: {n}\n\nx\n", c) for n, c in enumerate(changes)], where)
    return [sorted(find_suites(subject.scratch, i.parent_tree, i.tree, i.files)) for i in subject.items]


def test_which_suites_a_patch_touches(tmp_path: Path) -> None:
    suite = b"kunit_test_suites(&s);\nMODULE_LICENSE(x);\n"
    repo = build(
        tmp_path / "linux",
        {
            "lib/one.c": b"int one(void);\nint one(void)\n{\n\treturn 1;\n}\nMODULE_LICENSE(y);\n",
            "lib/one_kunit.c": b"int x = one();\n" + suite,
            "lib/tests/two-test.c": b'#include "../two.h"\nkunit_test_init_section_suites(&s);\n',
            "lib/two.h": b"#define UNUSED 1\n",
            "lib/deep/test/one.c": b"int x = one();\n" + suite,
            "lib/list_test.c": b"#include <linux/list.h>\n" + suite,
            "net/users_test.c": b"#include <linux/list.h>\n" + suite,
            "include/linux/list.h": b"#define LIST 1\n",
            "net/alone.c": b"/* kunit_test_suite(x) */\nint one;\n",
            "net/[x]/a.c": b"int a_name;\n",
            "net/[x]/b_test.c": b"int b = a_name;\n" + suite,
        },
    )
    found = about(
        repo,
        tmp_path / "s",
        {"lib/one.c": b"int two(void);\n"},  # what it was is what the suite tests
        {"lib/two.h": b"\n"},
        {"include/linux/list.h": b"\n", "Documentation/x.rst": b"x\n"},
        {"net/users_test.c": b"\n" + suite, "net/alone.c": b"int two;\n"},
        {"net/[x]/a.c": b"int a_name = 1;\n"},
        {"lib/Makefile": b"\n", "lib/other.c": b"int other;\nMODULE_LICENSE(z);\n"},
        {f"{n}/x.c": b"int x;\n" for n in range(300)} | {"lib/one.c": b"int one;\n"},
    )
    assert found == [
        ["lib/one_kunit.c"],
        ["lib/tests/two-test.c"],
        ["lib/list_test.c"],
        ["net/users_test.c"],
        ["net/[x]/b_test.c"],
        [],
        ["lib/one_kunit.c"],
    ]


def test_the_options_of_a_suite(tmp_path: Path) -> None:
    files = {
        "fs/part.c": b'#ifdef CONFIG_PART_TEST\n#include "tests/part_kunit.c"\n#endif\n',
        "fs/tests/part_kunit.c": CASES,
        "fs/Makefile": b"obj-$(CONFIG_FS) += part.o\n",
    }
    repo = build(tmp_path / "linux", {**KERNEL, **files})
    subject = make_subject(repo, "HEAD", [("lib: x\n\ny\n", {"lib/.kunitconfig": WISHES})], tmp_path / "s")
    tree = subject.items[0].tree
    switches = switches_for(subject.scratch, tree, {SUITE: CASES, "fs/tests/part_kunit.c": CASES})
    assert switches == {SUITE: ["SUM_KUNIT_TEST"], "fs/tests/part_kunit.c": ["PART_TEST", "FS"]}
    wanted = wanted_for(subject.scratch, tree, {SUITE: switches[SUITE]})
    assert wanted == {**BASE, "NET": "y", "SUM_KUNIT_TEST": "y", "SUMS": "y"}, "what Kconfig wants comes first"
    broken = make_subject(repo, "HEAD", [("x: y\n\nz\n", {"lib/.kunitconfig": b"\nobey\n"})], tmp_path / "s")
    with pytest.raises(UserError, match=r"lib/\.kunitconfig:2: 'obey' is not an option"):
        wanted_for(broken.scratch, broken.items[0].tree, switches)


@needs("kunit")
def test_its_key_and_its_options(tree: Repo, tmp_path: Path) -> None:
    subject = subject_of(tree, tmp_path / "s", [{SUITE: b"\n" + CASES}, {"Documentation/x.rst": b"x\n"}])
    key, (code, words) = load("kunit").patch_key, subject.items
    assert key(subject, code) == key(subject, replace(code, commit="0" * 40, subject="other words"))
    assert key(subject, code) != key(subject, words)
    fragment = tmp_path / "more.config"
    fragment.write_text("CONFIG_SUMS=y\n")
    for options in ({"timeout": 9.0}, {"config": (str(fragment),)}):
        assert key(subject, code) != key(replace(subject, options=options), code)
    with pytest.raises(UserError, match=r"checks\.kunit\.config"):
        outcomes("kunit", replace(subject, options={"config": str(fragment)}))


@pytest.mark.kernel
@pytest.mark.slow
@needs("kunit")
def test_suites_of_a_real_kernel(kernel73: RealKernel, tmp_path: Path) -> None:
    code = "lib/math/int_pow.c"
    old = kernel73.repo.read(kernel73.commit, code)
    assert old is not None
    changes = [{code: old + b"\n"}, {code: changed(b"result = 1;", b"result = 2;", old)}]
    good, bad = outcomes("kunit", subject_of(kernel73.repo, tmp_path / "s", changes, base=kernel73.commit))
    assert (good.status, good.reason) == (Status.PASS, "1 case of math-int_pow ran"), good
    (place,) = places(bad)
    assert (place[0], place[1], place[3]) == ("FAIL", "lib/math/tests/int_pow_kunit.c", "kunit")
    assert bad.findings[0].message.startswith("math-int_pow.int_pow_test: Expected tc->expected_result")
