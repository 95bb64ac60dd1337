"""Sphinx has nothing new to say about the documents that a patch touches, and the code comments that they take in.

It reads the touched files below Documentation/ and no others, with those extensions of the tree that are about a
document's own syntax (kernel-doc, flat tables, figures, includes). What is about other documents, such as a label or a
table of contents, is left to `make htmldocs`, which takes many minutes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, of_base, placed, reached
from patchbot.model import Finding, Status

NEEDS = {"sphinx-build": "python3-sphinx"}
OPTIONS = ()

#: What the documents of the tree are made with.
PROGRAMS = ("tools/docs/kernel-doc", "scripts/kernel-doc", "scripts/kernel-doc.py")
TOOLS = (*PROGRAMS, "Documentation/conf.py", "Documentation/sphinx", "tools/lib/python", "scripts/lib/kdoc")
#: A file that a document takes in; its path begins at the top of the tree, or in the folder of the document.
TAKEN = re.compile(rb"^[ \t]*\.\. (?:[a-z]+-?)?(?:doc|include|figure|image|render)::[ \t]*(\S+)", re.M)
UNPLACED = re.compile(r"(WARNING|ERROR|CRITICAL): (?!\./)(.+)")
INDEX = "patchbot-index"
CONFIGURATION = f"""
import ast, os, re, sys
from glob import glob
from docutils.parsers.rst import Directive, directives

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{{top}}/{{folder}}" for folder in ("Documentation/sphinx", "tools/lib/python", "scripts/lib/kdoc")]
wanted = ("kerneldoc", "rstFlatTable", "kernel_include", "kfigure")
extensions = [name for name in wanted if os.path.exists(f"{{top}}/Documentation/sphinx/{{name}}.py")]
extensions += ["sphinx.ext.ifconfig"]
exclude_patterns, master_doc, highlight_language = ["sphinx"], "{INDEX}", "none"
kerneldoc_srctree = top
kerneldoc_bin = ([*sorted(glob(f"{{top}}/scripts/kernel-doc*")), *glob(f"{{top}}/tools/docs/kernel-doc")] or [""])[-1]
conf = f"{{top}}/Documentation/conf.py"
for node in ast.parse(open(conf).read()).body if os.path.exists(conf) else ():
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").startswith("c_id_"):
        globals()[node.targets[0].id] = ast.literal_eval(node.value)


class Options(dict):
    def __missing__(self, name):
        return directives.unchanged


class Left(Directive):
    has_content, optional_arguments, final_argument_whitespace, option_spec = True, 1, True, Options(any=str)

    def run(self):
        return []


def setup(app):
    # What extensions that are not loaded would do is not looked at.
    for file in glob(f"{{top}}/Documentation/sphinx/*.py"):
        if os.path.basename(file)[:-3] not in extensions:
            for name in re.findall(r'add_directive\\(\\s*"([\\w-]+)"', open(file).read()):
                directives.register_directive(name, Left)
"""
#: What is about documents that are not here.
ELSEWHERE = re.compile(
    r"WARNING: (?:undefined label|unknown document|term not in glossary|toctree contains|toctree glob pattern"
    r"|document isn't included|image file not readable)"
)


def touched(item: Item) -> list[str]:
    """Return the documents that a patch touches."""
    return [path for path in item.files if path.startswith("Documentation/") and path.endswith(".rst")]


def key(subject: Subject, item: Item) -> str:
    """Return the whole trees, for documents take in what they like, and Sphinx."""
    docs = touched(item)
    trees = [item.parent_tree, item.tree] if docs else []
    return key_of(subject, item, docs, trees, programs=tuple(NEEDS), own=TOOLS)


def check(subject: Subject, item: Item) -> Outcome:
    """Have Sphinx read the touched documents."""
    tools = of_base(subject, *TOOLS)

    def needed(tree: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
        return {**tools, **reached(subject, tree, files, taken)}

    return compare(subject, item, "rst", touched(item), read, needed=needed, reason="it touches no document (.rst)")


def taken(path: str, data: bytes) -> Iterator[str]:
    """Yield the files that a document may take in."""
    for name in TAKEN.findall(data) if path.endswith((".rst", ".txt")) else ():
        text = name.decode("utf-8", "replace")
        for place in (text.lstrip("/"), os.path.join("Documentation", text.lstrip("/"))):
            yield os.path.normpath(place)
        yield os.path.normpath(os.path.join(os.path.dirname(path), text))


def read(side: Side) -> Iterator[Finding]:
    """Yield what Sphinx says of one side."""
    conf = side.place / ".patchbot/conf.py"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(CONFIGURATION)
    for program in (side.place / path for path in PROGRAMS):
        if program.is_file():
            program.chmod(0o755)
    names = [path.removeprefix("Documentation/").removesuffix(".rst") for path in sorted(side.files)]
    index = ["Documents", "=========", "", ".. toctree::", "", *(f"   /{name}" for name in names)]
    (side.place / f"Documentation/{INDEX}.rst").write_text("\n".join(index) + "\n")
    folders = ["-c", ".patchbot", "-d", ".patchbot/doctrees", "Documentation", ".patchbot/out"]
    said = side.run(["sphinx-build", "-b", "dummy", "-q", "-E", *folders], allowed=(0,), env={"srctree": "."})
    yield from messages(said, str(side.place), side.files)


def messages(said: str, place: str, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield what Sphinx says of the documents `files`; what is there twice is named in a line of its own.

    What extensions say without a place is about the document that names a file as they do.
    """
    text = said.replace(f"{place}/", "").replace("\nDeclaration is ", " Declaration is ")
    lines = dict.fromkeys(text.splitlines())
    yield from placed("\n".join(line for line in lines if not ELSEWHERE.search(line)), "rst")
    for match in filter(None, map(UNPLACED.match, lines)):
        names = [word.encode() for word in match[2].split() if "/" in word]
        if file := next((path for path, data in files.items() if any(name in data for name in names)), None):
            yield Finding(Status.WARN if match[1] == "WARNING" else Status.FAIL, match[2], file, type="rst")
