"""Render commit messages, cover letters and C fragments from templates/, with the one jinja2 environment.

An undefined variable is an error that names the template and the line; so is a message that would damage the mail
that it is sent in. In C fragments a variable must be written `{{ name }}`: jinja2 would silently render the `{{0}}` of
C as `0`.
"""

from __future__ import annotations

import re
import textwrap
import traceback
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2

from ..bundle import bundled
from ..errors import PatchbotError, UserError

#: A line that is never joined to a paragraph: indented, a list item, a table row, a quotation, a URL.
VERBATIM = re.compile(r"[\s|+>*-]|(?:[\w-]+: )?\w+://|\[\d+\] ")

#: Lines that end a changelog or a mail early, or are stripped (git mailinfo's patchbreak(), mbox, comments).
DAMAGING = re.compile(r"^(?:#|diff -|---|Index: |>?From |(?i:change-id:))")

#: How many columns the subject of a patch may have.
MOST = 75

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@cache
def environment(folder: Path | None = None) -> jinja2.Environment:
    """Return the environment over `folder`, the bundled templates if None."""
    # No autoescape: the output is mail and C, never HTML.
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*([folder] if folder else []), bundled("templates")]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    made.filters.update(wrap=wrap, plural=plural, listing=listing)
    return made


def render(name: str, folder: Path | None = None, /, **words: Any) -> str:
    """Return a template's text; raise PatchbotError that names the template and the line that failed."""
    mistake = UserError if folder else PatchbotError  # a folder is a person's campaign
    try:
        return environment(folder).get_template(name).render(**words)
    except jinja2.TemplateNotFound as error:
        raise mistake(f"{template_path(name, folder)}: no template {error}") from error
    except jinja2.TemplateSyntaxError as error:
        raise mistake(f"{template_path(error.name or name, folder)}:{error.lineno}: {error.message}") from error
    except (jinja2.UndefinedError, TypeError, ValueError) as error:
        raise mistake(f"{template_path(line_of(error, name, folder), folder)}: {error}") from error


def template_path(name: str, folder: Path | None) -> str:
    """Return the path of a template as a person knows it."""
    return str(folder / name) if folder else f"templates/{name}"


def line_of(error: Exception, name: str, folder: Path | None) -> str:
    """Return `template:line` of the innermost template line that an exception came through."""
    root = folder or bundled("templates")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(root):
            return f"{Path(frame.filename).relative_to(root)}:{frame.lineno}"
    return name


def fragment(campaign: str, name: str, /, **words: Any) -> bytes:
    """Return the bytes of a C fragment, templates/<campaign>/<name>."""
    return render(f"{campaign}/{name}", **words).encode("utf-8", "surrogateescape")


def message(campaign: str, folder: Path | None, name: str, /, **words: Any) -> str:
    """Return a commit message, ready for git: ends with one newline.

    Its template is `name` in a campaign's own folder, else templates/<campaign>/<name>.
    """
    if folder:
        return checked_message(str(folder / name), render(name, folder, **words))
    return checked_message(f"templates/{campaign}/{name}", render(f"{campaign}/{name}", **words))


def checked_message(where: str, text: str) -> str:
    """Return a message with blank lines squeezed; raise UserError for one that a changelog must not be.

    That is one without a subject, a body or the blank line between, with trailing white space or control
    characters, or with a line that would damage the mail.
    """
    lines = re.sub(r"\n{3,}", "\n\n", text.strip("\n")).split("\n")
    if not lines[0].strip():
        raise UserError(f"{where}: the subject is empty")
    if len(lines) < 3 or lines[1]:
        raise UserError(f"{where}: a blank line and a body must follow the subject {lines[0]!r}")
    for line in lines:
        if wrong := unfit(line):
            raise UserError(f"{where}: {wrong}: {line!r}")
    return "\n".join(lines) + "\n"


def unfit(line: str) -> str:
    """Return why a line cannot be in a changelog or a cover letter, "" if it can."""
    if line != line.rstrip():
        return "trailing white space"
    if DAMAGING.match(line) or line.startswith("From:"):
        return "this line would damage the mail"
    return "control character" if CONTROL.search(line) else ""


def wrap(text: str, width: int = 75, indent: str = "") -> str:
    """Wrap paragraphs at `width` columns, `indent` before each line.

    Indented lines, list items, tables and lines that are a URL (`Link: https://...` too) stay as they are.
    """
    out: list[str] = []
    options: dict[str, Any] = {"initial_indent": indent, "subsequent_indent": indent}
    options |= {"break_long_words": False, "break_on_hyphens": False}
    for kept, lines in groupby(text.split("\n"), lambda line: not line.strip() or bool(VERBATIM.match(line))):
        if kept:
            out += [(indent + line).rstrip() for line in lines]
        else:
            out += textwrap.wrap(" ".join(line.strip() for line in lines), width, **options)
    return "\n".join(out)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return `1 file`, `3 files`; `many` for an irregular noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listing(items: Iterable[object], conjunction: str = "and") -> str:
    """Return `a, b and c`."""
    words = [str(i) for i in items]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
