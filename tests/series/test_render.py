"""Words and C come out of templates whole, or with an error that names the place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchbot.bundle import bundled
from patchbot.errors import PatchbotError
from patchbot.series import render

TEMPLATES = bundled("templates")
C_TEMPLATES = sorted(p for p in TEMPLATES.rglob("*.j2") if p.name.endswith((".c.j2", ".h.j2")))
ANY_BRACES = re.compile(r"\{\{(?! )|(?<! )\}\}")


def loose_braces(text: str) -> list[str]:
    return [line for line in text.splitlines() if ANY_BRACES.search(line)]


@pytest.mark.parametrize("path", C_TEMPLATES, ids=lambda p: str(p.relative_to(TEMPLATES)))
def test_c_fragments_open_variables_with_a_space(path: Path) -> None:
    assert loose_braces(path.read_text()) == []


def test_the_brace_rule_finds_what_jinja_swallows(tmp_path: Path) -> None:
    (tmp_path / "x.c.j2").write_text("struct s a = {{0}};\nint b = {{ n }};\n")
    assert render.render("x.c.j2", tmp_path, n=1) == "struct s a = 0;\nint b = 1;\n"
    assert loose_braces((tmp_path / "x.c.j2").read_text()) == ["struct s a = {{0}};"]


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.j2")), ids=lambda p: str(p.relative_to(TEMPLATES)))
def test_every_template_compiles(path: Path) -> None:
    render.environment().get_template(str(path.relative_to(TEMPLATES)))


def test_undefined_variable_names_template_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt.j2").write_text("one\n{% include 'b.txt.j2' %}\n")
    (tmp_path / "b.txt.j2").write_text("x\n\n{{ missing.part }}\n")
    with pytest.raises(PatchbotError, match=r"b\.txt\.j2:3: 'missing' is undefined"):
        render.render("a.txt.j2", tmp_path)


def test_missing_template_and_syntax_error(tmp_path: Path) -> None:
    with pytest.raises(PatchbotError, match=r"templates/none/x\.j2: no template"):
        render.message("none", None, "x.j2")
    (tmp_path / "a.j2").write_text("ok\n{% if %}\n")
    with pytest.raises(PatchbotError, match=r"/a\.j2:2: "):
        render.render("a.j2", tmp_path)


def test_blocks_leave_no_line(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("a\n  {% if yes %}\nb\n  {% endif %}\nc\n")
    assert render.render("a.j2", tmp_path, yes=True) == "a\nb\nc\n"


def test_wrap_keeps_what_has_a_shape() -> None:
    words = "word " * 30
    link = f"Link: https://example.org/{'x' * 90}"
    text = f"{words}\nmore\n\n  indented {words}\n- item {words}\n{link}\n| a | b |\nend"
    lines = render.wrap(text).split("\n")
    assert max(len(line) for line in lines[:3]) <= 75
    assert f"  indented {words}".rstrip() in lines
    assert f"- item {words}".rstrip() in lines
    assert link in lines
    assert lines[-2:] == ["| a | b |", "end"]
    assert all(len(line) <= 20 and line.startswith("  ") for line in render.wrap(words, 20, "  ").split("\n"))


def test_wrap_never_breaks_a_word() -> None:
    name = "very_long_function_name_" * 5 + "()"
    assert name in render.wrap(f"see {name} for-the-rest").split("\n")


def test_plural_and_listing() -> None:
    assert (render.plural(1, "file"), render.plural(0, "file")) == ("1 file", "0 files")
    assert render.plural(2, "entry", "entries") == "2 entries"
    assert render.listing([]) == ""
    assert render.listing(["a"]) == "a"
    assert render.listing(["a", "b", 3], "or") == "a, b or 3"


def test_message_is_stripped_and_squeezed() -> None:
    assert render.checked_message("t", "\n\nbpf: Do\n\nBody.\n\n\n\nMore.\n\n") == "bpf: Do\n\nBody.\n\nMore.\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n \n", "subject is empty"),
        ("bpf: Do\n", "blank line and a body"),
        ("bpf: Do\nbody\n", "blank line and a body"),
        ("bpf: Do\n\nbody \n", "trailing white space"),
        ("bpf: Do\n\n#define X\n", "damage the mail"),
        ("bpf: Do\n\ndiff --git a/x b/x\n", "damage the mail"),
        ("bpf: Do\n\nx\n---\ny\n", "damage the mail"),
        ("bpf: Do\n\n--- a/kernel\n", "damage the mail"),
        ("bpf: Do\n\nFrom here on\n", "damage the mail"),
        ("bpf: Do\n\nFrom: Eve <eve@example.org>\n", "damage the mail"),
        ("bpf: Do\n\nchange-id: 20240101\n", "damage the mail"),
        ("bpf: Do\n\na\x1b[31mb\n", "control character"),
    ],
)
def test_message_refuses_what_damages_a_mail(text: str, why: str) -> None:
    with pytest.raises(PatchbotError, match=f"templates/x: .*{why}"):
        render.checked_message("templates/x", text)
