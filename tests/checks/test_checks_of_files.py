"""Each check that looks at the touched files: a patch that passes, one with a fault, one that keeps an old fault."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import RealKernel
from programs import module_of, needs, outcomes, places, subject_of
from subjects import make_subject
from tinytree import TESTS, build

from patchbot.checking.check import load
from patchbot.git.repo import Repo
from patchbot.model import Status

LOGS = TESTS / "logs"

#: What is needed of the kernel's scripts, in a few lines.
KERNEL_DOC = rb"""#!/usr/bin/env perl
die "no -none" unless shift eq '-none';
for my $file (@ARGV) {
	open(my $in, '<', $file) or die $!;
	my ($doc, %named);
	while (<$in>) {
		$named{$1} = $. if /^ \* @(\w+):/;
		next unless %named && /^\w.*?(\w+)\((.*)\)/;
		my ($name, $given) = ($1, $2);
		for my $n (sort grep { $given !~ /\b$_\b/ } keys %named) {
			print STDERR "$file:$.: warning: Excess function parameter '$n' description in '$name'\n" for 1, 2;
		}
		%named = ();
	}
}
"""
HEADERDEP = rb"""#!/usr/bin/env perl
my %seen;
my @dirs = grep { -d } @ARGV;
my @todo = map { s,^include/,,r } grep { /\.h$/ } @ARGV;
print "digraph {\n";
while (defined(my $name = shift @todo)) {
	next if $seen{$name}++;
	my ($path) = grep { -f } map { "$_/$name" } @dirs or next;
	open(my $in, '<', $path) or die $!;
	for (<$in>) {
		next unless /^#include <(.*)>/;
		push @todo, $1;
		printf "\t%s -> %s;\n", map { s,/,__,gr =~ s/[.-]/_/gr } $name, $1;
	}
}
print "}\n";
"""
CHECKINCLUDES = rb"""#!/usr/bin/env perl
for my $file (@ARGV) {
	open(my $in, '<', $file) or die $!;
	my %n;
	/^#include [<"](.*)[>"]/ and $n{$1}++ for <$in>;
	print "$file: $_ is included more than once.\n" for grep { $n{$_} > 1 } sort keys %n;
}
"""
COCCI = b"""/// Test before kfree
// Options: --no-includes --include-headers
virtual report
virtual patch

@r depends on report@
expression E;
position p;
@@
if (E) kfree@p(E);

@script:python depends on report@
p << r.p;
@@
coccilib.report.print_report(p[0], "WARNING: kfree takes NULL, see line %s." % p[0].line)
"""
BASE = {
    "scripts/kernel-doc": KERNEL_DOC,
    "scripts/headerdep.pl": HEADERDEP,
    "scripts/checkincludes.pl": CHECKINCLUDES,
    "scripts/coccinelle/free/before.cocci": COCCI,
    "net/old.c": b"/* teh */\n#include <linux/bpf.h>\n#include <linux/bpf.h>\n\n"
    b"void old(void *a)\n{\n\tif (a)\n\t\tkfree(a);\n}\n\n"
    b"/**\n * more() - it\n * @b: no\n */\nvoid more(int a)\n{\n}\n",
    "net/old.sh": b"#!/bin/sh\nrm -rf $1/*\nif [ $1 == yes ]; then echo; fi\n",
    "net/old.py": b"import os\n",
    "Documentation/net/old.rst": b"Old\n===\n\nBad *emphasis\n",
    "include/linux/one.h": b"#include <linux/two.h>\n",
    "include/linux/two.h": b"/* nothing */\n",
    "Documentation/devicetree/bindings/net/old.yaml": textwrap.dedent("""\
        # SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
        %YAML 1.2
        ---
        $id: http://devicetree.org/schemas/net/old.yaml#
        $schema: http://devicetree.org/meta-schemas/core.yaml#

        title: An old device

        maintainers:
          - A Maintainer <maintainer@example.org>

        properties:
          compatible:
            const: example,old

          reg:
            maxItems: 1

        required:
          - compatible

        additionalProperties: false
        """).encode(),
}
Edit = tuple[str, bytes, bytes]
#: {check: (an edit without a fault, one with a fault, where that is, words of its message)}; "" begins the file.
FAULTS: Mapping[str, tuple[Edit, Edit, list[tuple[str, str | None, int | None, str]], str]] = {
    "codespell": (
        ("net/old.c", b"\n\nvoid old", b"\n\n/* right */\n\nvoid old"),
        ("net/old.c", b"\n\nvoid old", b"\n\n/* teh recieved */\n\nvoid old"),
        [("WARN", "net/old.c", 5, "spelling")] * 2,
        "recieved ==> received",
    ),
    "kernel_doc": (
        ("net/old.c", b"", b"/**\n * f() - it\n * @a: a\n */\nint f(int a);\n\n"),
        ("net/old.c", b"", b"/**\n * f() - it\n * @a: a\n * @b: no\n */\nint f(int a);\n\n"),
        [("WARN", "net/old.c", 6, "kernel-doc")],
        "Excess function parameter 'b' description in 'f'",
    ),
    "includes": (
        ("include/linux/two.h", b"", b"#include <linux/types.h>\n"),
        ("include/linux/two.h", b"", b"#include <linux/types.h>\n#include <linux/one.h>\n"),
        [("WARN", "include/linux/two.h", 2, "circle")],
        "a circle: linux/two.h includes linux/one.h, which includes linux/two.h",
    ),
    "rst": (
        ("Documentation/net/old.rst", b"===\n", b"===\n\nGood *emphasis*, and :ref:`elsewhere`.\n"),
        ("Documentation/net/old.rst", b"===\n", b"===\n\n.. ntoe::\n   x\n"),
        [("FAIL", "Documentation/net/old.rst", 4, "rst")],
        'Unknown directive type "ntoe"',
    ),
    "scripts": (
        ("net/old.py", b"import os\n", b"import os\n\nprint(1)\n"),
        ("net/old.py", b"import os\n", b"import os\n\nprint(x)\n"),
        [("WARN", "net/old.py", 3, "pyflakes")],
        "undefined name 'x'",
    ),
    "dtschema": (
        ("Documentation/devicetree/bindings/net/old.yaml", b"maxItems: 1", b"maxItems: 2"),
        ("Documentation/devicetree/bindings/net/old.yaml", b"maxItems: 1", b"maxItemz: 1"),
        [("FAIL", "Documentation/devicetree/bindings/net/old.yaml", 17, "schema")] * 2,
        "'maxItemz' is not one of",
    ),
    "coccicheck": (
        ("net/old.c", b"", b"void f(void *a)\n{\n\tkfree(a);\n}\n\n"),
        ("net/old.c", b"", b"void f(void *a)\n{\n\tif (a)\n\t\tkfree(a);\n}\n\n"),
        [("WARN", "net/old.c", 4, "before")],
        "WARNING: kfree takes NULL",
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Repo:
    return build(tmp_path / "linux", BASE)


def changed(edit: Edit) -> dict[str, bytes]:
    path, old, new = edit
    data = BASE[path]
    assert old in data
    return {path: data.replace(old, new, 1) if old else new + data}


@pytest.mark.parametrize("check", [pytest.param(name, marks=needs(name)) for name in sorted(FAULTS)])
def test_a_fault_is_found_and_what_was_there_is_not_new(check: str, tree: Repo, tmp_path: Path) -> None:
    good, bad, where, words = FAULTS[check]
    touching = {"MAINTAINERS": b"\nNOBODY\n"} if check != "codespell" else {"net/old.c": b""}
    subject = subject_of(tree, tmp_path / "s", [changed(good), changed(bad), changed(good), touching])
    first, second, third, other = outcomes(check, subject)
    assert (first.status, first.findings) == (Status.PASS, ()), first
    assert places(second) == where, second
    assert any(words in f.message for f in second.findings), second.findings
    assert third.status is Status.PASS, "the patch that mends it is fine"
    assert first.log is not None
    assert first.examined == 1
    assert other.status is Status.SKIP or check == "codespell"


@pytest.mark.parametrize("check", [pytest.param(name, marks=needs(name)) for name in sorted(FAULTS)])
def test_the_key_is_about_content(check: str, tree: Repo, tmp_path: Path) -> None:
    good, bad, _, _ = FAULTS[check]
    key = load(check).patch_key
    one, again, another, reworded = (
        subject_of(tree, tmp_path / name, [changed(edit)], message)
        for name, edit, message in (("a", good, ""), ("b", good, ""), ("c", bad, ""), ("d", good, "Other words."))
    )
    keys = [key(subject, subject.items[0]) for subject in (one, again, another, reworded)]
    assert keys[0] == keys[1] != keys[2]
    assert (keys[3] == keys[0]) == (check != "codespell"), "only codespell reads the message"


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        pytest.param("kernel_doc", "has none of tools/docs/kernel-doc", marks=needs("kernel_doc")),
        pytest.param("includes", "lacks scripts/headerdep.pl or scripts/checkincludes.pl", marks=needs("includes")),
        pytest.param("coccicheck", "has no script in scripts/coccinelle", marks=needs("coccicheck")),
    ],
)
def test_a_tree_without_the_program_is_no_pass(check: str, reason: str, tiny: Repo, tmp_path: Path) -> None:
    (outcome,) = outcomes(check, subject_of(tiny, tmp_path / "s", [{"net/new.c": b"int a;\n"}]))
    assert outcome.status is Status.SKIP
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("check", "folder", "end", "text", "line"),
    [
        pytest.param(check, folder, end, text, line, marks=needs(check))
        for check, folder, end, text, line in (
            ("codespell", "net", ".c", b"/* teh */\n", 1),
            ("kernel_doc", "net", ".c", changed(FAULTS["kernel_doc"][1])["net/old.c"], 6),
            ("includes", "net", ".c", BASE["net/old.c"], None),
            ("scripts", "net", ".sh", b"#!/bin/sh\nrm -rf $1/*\n", 2),
            ("scripts", "net", ".py", b"import os\n", 1),
            ("rst", "Documentation/net", ".rst", BASE["Documentation/net/old.rst"], 4),
            ("coccicheck", "net", ".c", BASE["net/old.c"], 8),
        )
    ],
)
def test_a_fault_is_found_in_a_file_of_any_name(
    check: str, folder: str, end: str, text: bytes, line: int | None, tree: Repo, tmp_path: Path
) -> None:
    names = [f"{folder}/{name}{end}" for name in ("a b", "a:7: b", "ü", "\udcff", "q\"'\\*")]
    (outcome,) = outcomes(check, subject_of(tree, tmp_path / "s", [dict.fromkeys(names, text)]))
    found = {(f.file, f.line) for f in outcome.findings}
    assert found >= {(name, line) for name in names}, outcome
    assert {file for file, _ in found} == {*names}
    assert outcome.status in (Status.WARN, Status.FAIL)


@needs("codespell")
def test_the_message_is_spelt_too(tree: Repo, tmp_path: Path) -> None:
    subject = subject_of(tree, tmp_path / "s", [{"net/new.c": b"int a;\n"}], "It recieves more.")
    (outcome,) = outcomes("codespell", subject)
    assert places(outcome) == [("WARN", None, None, "spelling")]
    ignoring = subject_of(tree, tmp_path / "i", [{"net/new.c": b"int a;\n"}], "It recieves more.", ignore=["recieves"])
    assert [o.status for o in outcomes("codespell", ignoring)] == [Status.PASS]


@needs("codespell")
def test_a_tree_does_not_configure_codespell(tree: Repo, tmp_path: Path) -> None:
    quiet = {"setup.cfg": b"[codespell]\nskip = *\n", "net/new.c": b"/* teh */\n"}
    (outcome,) = outcomes("codespell", subject_of(tree, tmp_path / "s", [quiet]))
    assert places(outcome) == [("WARN", "net/new.c", 1, "spelling")]


@needs("includes")
def test_an_include_twice_and_an_old_circle(tree: Repo, tmp_path: Path) -> None:
    circle = {"include/linux/two.h": b"#include <linux/one.h>\n"}
    more = {"include/linux/one.h": b"#include <linux/two.h>\n#include <linux/types.h>\n"}
    twice = {"net/old.c": BASE["net/old.c"].replace(b"\n\nvoid", b'\n#include "a.h"\n#include "a.h"\n\nvoid', 1)}
    _, second, third = outcomes("includes", subject_of(tree, tmp_path / "s", [circle, more, twice]))
    assert second.status is Status.PASS, "the circle was there"
    assert places(third) == [("WARN", "net/old.c", None, "twice")]
    assert third.findings[0].message == "a.h is included more than once"


@needs("scripts")
def test_scripts_are_read_and_not_executed(tree: Repo, tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    added = {
        "net/bad.sh": b"if true; then\n",
        "net/bad.py": f"open({str(trap)!r}, 'w')\ndef f(:\n".encode(),
        "net/good.py": f"open({str(trap)!r}, 'w')\n".encode(),
        "net/text": b"#!/bin/sh\nif\n",
        "net/data.txt": b"#!/bin/sh\nif\n",
    }
    (outcome,) = outcomes("scripts", subject_of(tree, tmp_path / "s", [added]))
    assert outcome.status is Status.FAIL
    assert {(f.status.value, f.file) for f in outcome.findings} == {("FAIL", "net/bad.sh"), ("FAIL", "net/bad.py")}
    assert not trap.exists()
    commits, modes = [("net: One\n\nWhy.\n", {"net/text": added["net/text"]})], {"net/text": "100755"}
    (executable,) = outcomes("scripts", make_subject(tree, "HEAD", commits, tmp_path / "s", modes))
    assert {f.file for f in executable.findings} == {"net/text"}


@needs("scripts")
def test_a_script_that_moves_takes_its_messages_along(tree: Repo, tmp_path: Path) -> None:
    text = b"#!/usr/bin/python3\nimport os\n\nprint(1)\nprint(2)\nprint(3)\n"
    changes = [{"net/old": text}, {"net/old": None, "net/new": text.replace(b"import os", b"import  os")}]
    commits = [(f"net: {n}\n\nWhy.\n", change) for n, change in enumerate(changes)]
    first, second = outcomes(
        "scripts", make_subject(tree, "HEAD", commits, tmp_path, dict.fromkeys(("net/old", "net/new"), "100755"))
    )
    assert places(first) == [("WARN", "net/old", 2, "pyflakes")]
    assert (second.status, second.reason) == (Status.PASS, "looked at net/new; 1 message of before")


@needs("dtschema")
def test_bindings_see_what_they_refer_to(tree: Repo, tmp_path: Path) -> None:
    path = "Documentation/devicetree/bindings/net/new.yaml"
    new = BASE["Documentation/devicetree/bindings/net/old.yaml"].replace(b"old", b"new")
    text = new.replace(b"required:", b"allOf:\n  - $ref: old.yaml#\n\nrequired:").replace(b"additional", b"unevaluated")
    fine, broken = outcomes(
        "dtschema", subject_of(tree, tmp_path / "s", [{path: text}, {path: text.replace(b"old.yaml", b"none.yaml")}])
    )
    assert fine.status is Status.PASS, fine
    assert "none.yaml" in broken.findings[0].message


@needs("dtschema")
def test_a_dtschema_that_is_too_old_is_said(tree: Repo, tmp_path: Path) -> None:
    folder = "Documentation/devicetree/bindings"
    base = build(tmp_path / "base", {**BASE, f"{folder}/Makefile": b"DT_SCHEMA_MIN_VERSION = 3000.1\n"})
    (outcome,) = outcomes("dtschema", subject_of(base, tmp_path / "s", [changed(FAULTS["dtschema"][0])]))
    assert outcome.status is Status.SKIP
    assert "this kernel asks for 3000.1 (pipx install dtschema)" in outcome.reason


@needs("rst")
def test_a_document_sees_the_comments_that_it_takes_in(tmp_path: Path) -> None:
    """Sphinx runs an extension of the tree: ours says what file it was given."""
    extension = b"""
import os
from docutils.parsers.rst import Directive
from sphinx.util import logging

class Given(Directive):
    required_arguments = 1

    def run(self):
        file = self.state.document.settings.env.config.kerneldoc_srctree + "/" + self.arguments[0]
        if not os.path.exists(file):
            logging.getLogger(__name__).error(f"Cannot find file {file}")
            return []
        text = open(file).read()
        return [self.state.document.reporter.warning(text.strip(), line=self.lineno)]

def setup(app):
    app.add_config_value("kerneldoc_srctree", None, "env")
    app.add_config_value("kerneldoc_bin", None, "env")
    app.add_directive("kernel-doc", Given)
"""
    other = b"def setup(app):\n    app.add_directive('x', None)\n    app.add_directive(\"kernel-abi\", None)\n"
    tools = {"Documentation/sphinx/kerneldoc.py": extension, "Documentation/sphinx/kernel_abi.py": other}
    base = build(tmp_path / "linux", {**BASE, **tools, "net/told.c": b"it is read\n"})
    document = {
        "Documentation/net/new.rst": b"New\n===\n\n.. kernel-doc:: net/told.c\n\n.. kernel-abi:: x\n   :file: y\n"
    }
    (name,) = document
    lost = {name: document[name] + b"\n.. kernel-doc:: net/lost.c\n"}
    outcome, second = outcomes("rst", subject_of(base, tmp_path / "s", [document, lost]))
    assert [(f.status, f.message, f.file) for f in second.findings] == [
        (Status.FAIL, "Cannot find file net/lost.c", name)
    ]
    assert [f.message for f in outcome.findings] == ["WARNING: it is read"]
    assert places(outcome) == [("WARN", "Documentation/net/new.rst", 4, "rst")]


@needs("rst")
def test_what_two_documents_have_is_not_new_because_one_moves(tree: Repo, tmp_path: Path) -> None:
    a, m, z = (f"Documentation/net/{name}.rst" for name in "amz")
    text = b"One\n===\n\n.. _twice:\n\nOne title\n---------\n\n.. c:function:: int f(int a)\n\n   It.\n"
    other = text.replace(b"One ", b"Another ").replace(b"---", b"------") + b"\nEnd.\n"
    more = other.replace(b"int f(", b"int g(") + b"\n.. c:function:: int g(int a)\n"
    changes = [{a: text, m: other}, {a: None, z: text, m: other + b"\nMore.\n"}, {m: more, z: text + b"\n"}]
    first, second, third = outcomes("rst", subject_of(tree, tmp_path / "s", changes))
    assert [f.message.partition(",")[0] for f in first.findings] == [
        "WARNING: duplicate label twice",
        "WARNING: Duplicate C declaration",
    ]
    assert second.status is Status.PASS, second.findings
    assert ["int g(int a)" in f.message for f in third.findings] == [True], "another declaration"


@needs("rst")
def test_what_sphinx_cannot_go_on_with_fails(tree: Repo, tmp_path: Path) -> None:
    path = "Documentation/net/new.rst"
    (outcome,) = outcomes("rst", subject_of(tree, tmp_path / "s", [{path: b"New\n===\n\n.. note::\n\n   In\n   --\n"}]))
    assert places(outcome) == [("FAIL", path, 7, "rst")]
    assert outcome.findings[0].message == "CRITICAL: Unexpected section title."


@needs("coccicheck")
def test_a_script_that_hangs_or_is_wrong_is_an_error_and_the_others_count(tmp_path: Path) -> None:
    scripts = {
        "scripts/coccinelle/a.cocci": COCCI.replace(b"coccilib", b"import time; time.sleep(60)\ncoccilib"),
        "scripts/coccinelle/b.cocci": b"virtual report\n@@\nif (\n",
        "scripts/coccinelle/c.cocci": b"virtual patch\n@@\nif (\n",
    }
    base = build(tmp_path / "linux", {**BASE, **scripts})
    subject = subject_of(base, tmp_path / "s", [changed(FAULTS["coccicheck"][1])], timeout=5)
    (outcome,) = outcomes("coccicheck", subject)
    assert outcome.status is Status.ERROR
    assert places(outcome)[0] == ("WARN", "net/old.c", 4, "before")
    troubles = [f.message for f in outcome.findings if f.status is Status.ERROR]
    assert "took longer than 5 s and was killed" in troubles[0]
    assert "coccicheck-" in troubles[0], "it says where the log is"
    assert len(troubles) == 2
    without = subject_of(base, tmp_path / "w", [changed(FAULTS["coccicheck"][0])], without=["a", "b"])
    assert [o.status for o in outcomes("coccicheck", without)] == [Status.PASS]


@needs("coccicheck")
def test_a_script_that_says_nothing_after_a_patch_is_not_asked_before_it(tmp_path: Path) -> None:
    quiet = {"scripts/coccinelle/free/quiet.cocci": COCCI.replace(b"kfree@p", b"vfree@p")}
    base = build(tmp_path / "linux", {**BASE, **quiet})
    (outcome,) = outcomes("coccicheck", subject_of(base, tmp_path / "s", [changed(FAULTS["coccicheck"][1])]))
    assert outcome.log is not None
    after, before = outcome.log.read_text().split("before it:")
    assert (after.count("--cocci-file"), before.count("--cocci-file")) == (2, 1)


def read(name: str) -> str:
    return (LOGS / name).read_text()


@pytest.mark.parametrize(
    ("check", "call", "log", "expected"),
    [
        (
            "kernel_doc",
            lambda m, text: m.messages(text, "/home/dev/side"),
            "kernel-doc-7.3.txt",
            [("WARN", "include/linux/tnum.h", 144, "kernel-doc")] * 2,
        ),
        (
            "kernel_doc",
            lambda m, text: m.messages(text, "/home/dev/side"),
            "kernel-doc-6.12.txt",
            [("WARN", "kernel/sched/ext.c", line, "kernel-doc") for line in (207, 229, 244)]
            + [("WARN", "x.c", 7, "kernel-doc")] * 2,
        ),
        (
            "scripts",
            lambda m, text: m.shell_messages(text),
            "shellcheck.txt",
            [("FAIL", "scripts/fault.sh", line, code) for line, code in ((3, "SC1046"), (3, "SC1073"))]
            + [("FAIL", "scripts/fault.sh", 5, code) for code in ("SC1047", "SC1072")],
        ),
        (
            "scripts",
            lambda m, text: m.placed(text, "pyflakes"),
            "pyflakes.txt",
            [
                ("WARN", "fault.py", 3, "pyflakes"),
                ("WARN", "fault.py", 4, "pyflakes"),
                ("WARN", "bad.py", 1, "pyflakes"),
            ],
        ),
        (
            "codespell",
            lambda m, text: m.placed(text, "spelling"),
            "codespell.txt",
            [("WARN", "kernel/bpf/cgroup.c", line, "spelling") for line in (6, 2825, 2825)],
        ),
        (
            "coccicheck",
            lambda m, text: m.messages(text, "ifnullfree"),
            "coccicheck.txt",
            [("WARN", "kernel/bpf/bpf_iter.c", 830, "ifnullfree")],
        ),
        (
            "rst",
            lambda m, text: m.messages(text, "/home/dev/side", {}),
            "sphinx-7.3.txt",
            [
                (status, "Documentation/bpf/kfuncs.rst", line, "rst")
                for status, line in (("WARN", 859), ("FAIL", 861), ("FAIL", 864), ("WARN", 866))
            ],
        ),
        (
            "dtschema",
            lambda m, text: m.faults(text.replace("/home/dev/side/", "")),
            "dtschema.txt",
            [("FAIL", "Documentation/devicetree/bindings/leds/leds-gpio.yaml", 31, "schema")] * 2,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_real_programs_say_is_read(check: str, call, log: str, expected: list[tuple[str, str, int, str]]) -> None:
    found = list(call(module_of(check), read(log)))
    assert [(f.status.value, f.file, f.line, f.type) for f in found] == expected


def test_what_checkincludes_says_is_read() -> None:
    pairs = module_of("includes").DOUBLE.findall(read("checkincludes.txt"))
    assert [header for _, header in pairs] == ["linux/lsm_hook_defs.h", "linux/bpf.h"]


@pytest.mark.kernel
@pytest.mark.parametrize(
    "check", [pytest.param(n, marks=needs(n)) for n in ("codespell", "kernel_doc", "includes", "rst", "coccicheck")]
)
def test_the_scripts_of_a_real_kernel(check: str, kernel: RealKernel, tmp_path: Path) -> None:
    def text(path: str) -> bytes:
        data = kernel.repo.read(kernel.commit, path)
        assert data is not None
        return data

    tnum, lsm, docs = "include/linux/tnum.h", "kernel/bpf/bpf_iter.c", "Documentation/bpf/kfuncs.rst"
    doc = b"\n/**\n * tnum_more() - add one\n * @a: teh number\n * @c: none\n */\nint tnum_more(int a);\n"
    faults = {
        "codespell": {tnum: text(tnum) + doc},
        "kernel_doc": {tnum: text(tnum) + doc},
        "includes": {tnum: text(tnum).replace(b"#include", b"#include <linux/bpf_verifier.h>\n#include", 1)},
        "rst": {docs: text(docs) + b"\n.. ntoe::\n   x\n"},
        "coccicheck": {lsm: text(lsm) + b"\nvoid f(void *a);\nvoid f(void *a)\n{\n\tif (a)\n\t\tkfree(a);\n}\n"},
    }
    fine = {path: text(path) + b"\n" for path in faults[check]}
    first, second = outcomes(check, subject_of(kernel.repo, tmp_path / "s", [fine, faults[check]], base=kernel.commit))
    assert first.status is Status.PASS, first
    assert second.status in (Status.WARN, Status.FAIL), second
