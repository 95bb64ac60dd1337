"""Campaigns in a folder with a campaign.toml: every site has a fate, and what is wrong is named with its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tinytree import commit, patchbot

from patchbot.campaigns import load_campaign
from patchbot.config import CampaignConfig, OwnerRule
from patchbot.draft.produce import maker
from patchbot.errors import ConfigError, RefusedSites, UserError
from patchbot.git import small
from patchbot.series.generate import Generated, generate
from patchbot.series.tree import Tree
from patchbot.testing import golden_files

HEAD = '[sites]\nwords = ["old_a", "old_b"]\n'
TITLE = 'title = "tree: Use new_a()"\ntarget = "tip"\n'
WORDS = 'words = { old_a = "new_a", old_b = "new_b" }\n'
STEP = '[[steps]]\nname = "rename"\nmessage = "rename.txt"\nsplit = "owner"\nindependent = true\n'
MAINTAINERS = b"""
A
L:\ta@example.org
T:\tgit git://git.kernel.org/pub/scm/linux/kernel/git/x/a-next.git
F:\ta/

B
L:\tb@example.org
F:\tb/

THE REST
L:\tlinux-kernel@vger.kernel.org
F:\t*
F:\t*/
"""
FILES = {
    "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "MAINTAINERS": MAINTAINERS,
    # CRLF, Latin-1 and no newline at the end: what is not renamed stays as it is.
    "a/one.c": b'/* old_a \xe4 */\r\nvoid f(void)\r\n{\r\n\told_a(old_b);\r\n\tlog("old_a");\r\n}\r\nint x = old_a',
    "b/two.c": b"#define M(x) old_a(x)\n#if 0\nold_b\n#endif\nvoid g(void)\n{\n\told_a(1);\n}\n",
    "c.h": b"#include <old_a.h>\nint my_old_a, old_a_b, new_a;\n",
}


def folder(place: Path, toml: str, **files: str) -> Path:
    """Write a campaign; files are named as `rename_sh`."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "campaign.toml").write_text(toml)
    (place / "rename.txt").write_text(
        "{{ prefix }}: Use new_a()\n\nAt {{ sites }} in {{ files | length }} for {{ key }}.\n"
    )
    for name, text in files.items():
        file = place / name.replace("_", ".")
        file.write_text(textwrap.dedent(text))
        file.chmod(0o755)
    return place


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    repo = small.make(tmp_path / "linux", FILES)
    return Tree(repo, repo.resolve("HEAD"))


def made(tree: Tree, campaign: Path, **more: Any) -> Generated:
    config = CampaignConfig("mine", "tip", path=campaign, **more)
    return generate(tree, load_campaign(config), config)


def fates(done: Generated) -> list[tuple[str, str]]:
    return [(site.name, site.fate) for site in done.audit.sites]


def test_words_are_renamed_and_every_site_has_a_fate(tree: Tree, tmp_path: Path) -> None:
    done = made(tree, folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS))
    assert done.tip.read("a/one.c") == (
        b'/* old_a \xe4 */\r\nvoid f(void)\r\n{\r\n\tnew_a(new_b);\r\n\tlog("old_a");\r\n}\r\nint x = new_a'
    )
    assert done.tip.read("b/two.c") == FILES["b/two.c"].replace(b"old_", b"new_")
    assert fates(done) == [
        ("a/one.c:f:old_a", "change"),
        ("a/one.c:f:old_b", "change"),
        ("a/one.c:x:old_a", "change"),
        ("b/two.c:M:old_a", "change"),
        ("b/two.c:old_b:old_b", "change"),
        ("b/two.c:g:old_a", "change"),
    ]
    assert dict(done.audit.counts) == {"files": 2, "sites": 6, "change": 6, "keep": 0, "left": 0, "mentions": 3}
    assert [(p.id, p.target, len(p.sites)) for p in done.series.patches] == [
        ("rename/B", "tip", 3),
        ("rename/A", "a-next", 3),
    ]
    assert done.series.patches[1].message == "a: one: Use new_a()\n\nAt 3 in 1 for A.\n"


def test_comments_are_renamed_when_asked_for(tree: Tree, tmp_path: Path) -> None:
    done = made(tree, folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS + "comments = true\n"))
    assert done.tip.read("a/one.c").startswith(b"/* new_a \xe4 */\r\n")
    assert b'log("old_a")' in done.tip.read("a/one.c")
    assert done.tip.read("c.h") == FILES["c.h"]


def test_what_is_left_stops_the_series_with_the_complete_list(tree: Tree, tmp_path: Path) -> None:
    toml = TITLE + HEAD + STEP + 'words = { old_b = "new_b" }\n'
    with pytest.raises(RefusedSites) as caught:
        made(tree, folder(tmp_path / "mine", toml))
    assert str(caught.value) == textwrap.dedent("""\
        4 sites are left after all steps, nothing was written:
          a/one.c:4: a/one.c:f:old_a: no step changes it
          a/one.c:7: a/one.c:x:old_a: no step changes it
          b/two.c:1: b/two.c:M:old_a: no step changes it; in the definition of the macro M
          b/two.c:7: b/two.c:g:old_a: no step changes it""")
    assert caught.value.exit_code == 1


def test_what_is_kept_has_its_rule_and_reason(tree: Tree, tmp_path: Path) -> None:
    keep = '[[sites.keep]]\npath = "a/"\nreason = "later"\n[[sites.keep]]\nword = "old_b"\nreason = "it is another"\n'
    keep += '[[sites.keep]]\npath = "z.c"\nreason = "nothing"\n'
    mine = folder(tmp_path / "mine", TITLE + HEAD + keep + STEP + WORDS)
    done = made(tree, mine)
    assert [(s.fate, s.reason) for s in done.audit.sites] == [
        *([("keep", "later")] * 3),
        ("change", ""),
        ("keep", "it is another"),
        ("change", ""),
    ]
    assert done.audit.warnings == ("the rule that keeps z.c (nothing) is about no site",)
    assert done.audit.sites[4].conditions == ("0",)
    by_name = made(tree, mine, decisions={"b/two.c:g:old_a": {"reason": "mine"}})
    assert by_name.audit.sites[5].reason == "mine"


def test_a_last_step_waits_until_the_others_have_nothing_to_do(tree: Tree, tmp_path: Path) -> None:
    keep = '[[sites.keep]]\npath = "b/"\nreason = "the last patch has it"\n'
    last = STEP.replace('"rename"\nm', '"drop"\nm').replace("independent = true", "last = true")
    toml = TITLE + HEAD + keep + STEP + WORDS + last + 'python = "drop.py:drop"\n'
    code = """\
        from patchbot.model import Edit
        from patchbot.series.campaign import Change

        def drop(context):
            return Change((Edit("b/two.c", delete=True),) if context.tree.exists("b/two.c") else ())
        """
    mine = folder(tmp_path / "mine", toml, drop_py=code)
    done = made(tree, mine)
    assert [p.id for p in done.series.patches] == ["rename/A"]
    assert done.remarks == ("drop: waits until the base has what the other steps make",)
    commit(tmp_path / "linux", "Take it", {"a/one.c": done.tip.read("a/one.c")})
    after = Tree(tree.repo, tree.repo.resolve("HEAD"))
    assert [p.id for p in made(after, mine).series.patches] == ["drop/B"]


def test_sites_are_followed_through_steps_and_new_ones_are_seen(tree: Tree, tmp_path: Path) -> None:
    two = STEP.replace('"rename"\nm', '"more"\nm').replace("independent = true\n", "")
    code = """\
        from patchbot.model import Edit
        from patchbot.series.campaign import Change
        from patchbot.series.codemod import edits_between

        def more(context):
            text = context.tree.read("b/two.c")
            new = b"int zero;\\n" + text.replace(b"old_a(1)", b"old_a(2)")
            return Change(tuple(edits_between("b/two.c", text, new)))

        def anew(context):
            return Change((Edit("d.c", new=b"int old_a;\\n", create=True),) if not context.tree.exists("d.c") else ())
        """
    words = 'words = { old_b = "new_b" }\n'
    keep = '[[sites.keep]]\nword = "old_a"\npath = "?/*"\nreason = "r"\n'
    toml = TITLE + HEAD + keep + STEP.replace("independent = true\n", "") + words + two + 'python = "more.py:more"\n'
    done = fates(made_once(tree, folder(tmp_path / "mine", toml, more_py=code)))
    assert done == [
        ("a/one.c:f:old_a", "keep"),
        ("a/one.c:f:old_b", "change"),
        ("a/one.c:x:old_a", "keep"),
        ("b/two.c:M:old_a", "keep"),
        ("b/two.c:old_b:old_b", "change"),
        ("b/two.c:g:old_a", "keep"),
    ]
    with pytest.raises(RefusedSites, match=r"1 site is left .*\n  d.c:1: d.c:old_a:old_a: a step writes it into d.c"):
        made(
            tree,
            folder(tmp_path / "mine", toml.replace("py:more", "py:anew"), more_py=code),
        )


def made_once(tree: Tree, campaign: Path) -> Any:
    """Return the audit alone, in the shape of Generated: a step here is not idempotent."""
    config = CampaignConfig("mine", "tip", path=campaign)
    return type("Audited", (), {"audit": load_campaign(config).audit(tree, config)})


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            TITLE + HEAD.replace("words", "wrods") + STEP + WORDS,
            r"toml:4: \[sites\] unknown key 'wrods'; did you mean words\?",
        ),
        (TITLE.replace("title", "titel") + STEP + WORDS, r"toml:1: unknown key 'titel'; did you mean title\?"),
        (
            TITLE + HEAD + STEP.replace("split", "splt") + WORDS,
            r"toml:8: \[steps\[1\]\] unknown key 'splt'; did you mean split",
        ),
        (
            TITLE + HEAD + STEP.replace('"owner"', '"onwer"') + WORDS,
            r"toml:8: split is 'onwer', not whole.*did you mean owner",
        ),
        (TITLE + HEAD + STEP.replace('"owner"', "3") + WORDS, r"toml:8: steps\[1\].split is 3, not a text"),
        (TITLE + HEAD + STEP, r"toml:6: step rename has no codemod; a step has one of words, cocci, python, command"),
        (TITLE + HEAD + STEP + WORDS + 'python = "x.py:f"\n', r"toml:6: step rename has both words and python"),
        (
            TITLE + HEAD + STEP + 'words = { old_c = "x" }\n',
            r"toml:10: 'old_c' is not among the words.*did you mean old_",
        ),
        (TITLE + HEAD + STEP + 'words = { old_a = "x y" }\n', r"toml:10: steps\[1\].words.* is 'x y'"),
        (TITLE + HEAD + STEP + 'python = "none.py:f"\n', r"toml:10: none.py is not in "),
        (TITLE + HEAD + STEP + 'python = "../x.py:f"\n', r"toml:10: ../x.py is outside of "),
        (TITLE + HEAD + STEP + 'python = "codemod"\n', r"toml:10: python is 'codemod', not file.py:function"),
        (TITLE + HEAD + STEP + 'command = ["./none.sh"]\n', r"toml:10: ./none.sh is not in "),
        (TITLE + HEAD + STEP.replace("rename.txt", "none.txt") + WORDS, r"toml:7: none.txt is not in "),
        (TITLE + HEAD + STEP + WORDS + STEP + WORDS, r"toml:12: there are two steps 'rename'"),
        (TITLE + HEAD + '[[sites.keep]]\nreason = "r"\n' + STEP + WORDS, r"toml:5: it names no path, word or site"),
        (TITLE + HEAD + '[[sites.keep]]\npath = "r"\n' + STEP + WORDS, r"toml:5: sites.keep\[1\] lacks 'reason'"),
        (TITLE + HEAD + STEP + WORDS + 'options = ["-x"]\n', r"toml:11: options is for a step with cocci"),
        (
            TITLE + HEAD + STEP + WORDS + "timeout = 3\n",
            r"toml:11: timeout is for a step with cocci or python or command",
        ),
        (TITLE + HEAD + STEP + 'python = "x.py:f"\ntimeout = inf\n', r"toml:11: .*timeout is inf"),
        (TITLE + HEAD + STEP + 'cocci = "x"\noptions = ["-o", "/x"]\n', r"toml:11: -o is not for a campaign"),
        (
            TITLE + HEAD + "arguments = { old_c = 1 }\n" + STEP + WORDS,
            r"toml:5: 'old_c' is not among .* did you mean old_",
        ),
        (TITLE + HEAD, r"lacks 'steps'"),
        (TITLE + "title = 3\n", r"toml:3: "),
        ('title = ""\n' + HEAD + STEP + WORDS, r"toml:1: title is '', not one line of text"),
        ('title = "a\\nb"\n' + HEAD + STEP + WORDS, r"toml:1: title is 'a\\nb', not one line of text"),
        (
            'title = "a"\ntarget = ""\n' + HEAD + STEP + WORDS,
            r"toml:2: target is '', not the name of a tree, such as bpf-next",
        ),
    ],
)
def test_a_fault_in_campaign_toml_is_named_with_its_place(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_campaign(CampaignConfig("mine", path=folder(tmp_path / "mine", toml)))


def test_a_folder_has_one_of_both_files(tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS)
    (mine / "campaign.py").write_text("")
    with pytest.raises(ConfigError, match=r"has both campaign.toml and campaign.py"):
        load_campaign(CampaignConfig("mine", path=mine))


RENAME = """\
    #!/bin/sh
    xargs sed -i 's/\\bold_\\([ab]\\)\\b/new_\\1/g'
    """
PYTHON = """\
    import itertools
    from patchbot.model import Edit
    from patchbot.series.campaign import Change

    turns = itertools.count()

    def rename(context):
        {line}
    """


def test_a_program_edits_copies_in_place(tree: Tree, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + 'command = ["./rename.sh"]\n', rename_sh=RENAME)
    done = made(tree, mine)
    assert {fate for _, fate in fates(done)} == {"change"}
    assert done.tip.read("a/one.c") == FILES["a/one.c"].replace(b"old_", b"new_")
    patches = {p.id: len(p.sites) for p in done.series.patches}
    assert patches == {"rename/B": 3, "rename/A": 3, "rename/THE REST": 0}  # sed does not know what an #include is


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", r"step rename: \S*rename.sh ended with exit code 3"),
        ("echo boom >&2; kill -SEGV $$", r"rename.sh was killed by SIGSEGV\n +boom"),
        ("exec sleep 60", r"took longer than 0.5 s and was killed"),
        ("touch a/three.c", r"./rename.sh: it wrote a/three.c, which it was not given"),
        ("rm a/one.c", r"it took away a/one.c"),
        ("rm a/one.c; ln -s /etc/passwd a/one.c", r"it made a/one.c a link"),
        ("ln -s / root", r"it wrote root, which it was not given"),
        ("date +%N >> a/one.c", r"a/one.c:7: two runs on the same files edit this in different ways"),
    ],
)
def test_what_a_program_must_not_do(tree: Tree, tmp_path: Path, script: str, said: str) -> None:
    toml = TITLE + HEAD + STEP + 'command = ["./rename.sh"]\ntimeout = 0.5\n'
    with pytest.raises(UserError, match=said) as caught:
        made(tree, folder(tmp_path / "mine", toml, rename_sh=f"#!/bin/sh\n{script}\n"))
    assert caught.value.exit_code == 2
    assert str(caught.value).count("step rename") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return 1 / 0", r"step rename: \S*/mine/rename.py:8: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", r"step rename: \S*/mine/rename.py:8: SystemExit: 0"),
        ("import os; os._exit(0)", r"step rename: \S*/mine/rename.py:8: SystemExit: os._exit\(0\)"),
        ("return 3", r"rename.py: rename\(\) must return a Change, not 3"),
        ("while True: pass", r"rename.py:8: rename.py:rename takes longer than 0.5 s"),
        (
            "while True:\n            try: itertools.repeat(1)\n            except Exception: pass",
            r"takes longer than 0.5 s",
        ),
        ("raise GeneratorExit", r"rename.py:8: GeneratorExit"),
        ("return Change((Edit('a/one.c', 0, 9), Edit('a/one.c', 3, 5)))", r"a/one.c:1: two edits overlap"),
        ("return Change((Edit('a/one.c', 0, 9999),))", r"a/one.c: edit .* is outside the file"),
        ("return Change((Edit('../x', new=b'x', create=True),))", r"'../x': .* no file of a kernel can have this name"),
        ("return Change((Edit('a/one.c', 0, next(turns)),))", r"a/one.c:1: two runs .* in different ways"),
    ],
)
def test_what_a_function_must_not_do(tree: Tree, tmp_path: Path, line: str, said: str) -> None:
    toml = TITLE + HEAD + STEP + 'python = "rename.py:rename"\ntimeout = 0.5\n'
    with pytest.raises(UserError, match=said) as caught:
        made(tree, folder(tmp_path / "mine", toml, rename_py=PYTHON.format(line=line)))
    assert caught.value.exit_code == 2


def test_a_function_that_catches_its_end_ends_the_run(place: Path) -> None:
    patchbot("init", "--campaign", "mine", "--python", cwd=place)
    small.make(place / "linux", {**FILES, **C})
    file = place / "mine/campaign.toml"
    file.write_text(re.sub(r"(?m)^(python = .*)$", r"\1\ntimeout = 0.2", file.read_text()))
    code = re.search(r'(?m)^python = "([\w.]+):(\w+)"', file.read_text())
    loop = "    while True:\n        try: time.sleep(9)\n        except: pass\n"
    (place / "mine" / code[1]).write_text(f"import time\ndef {code[2]}(context):\n{loop}")
    said = patchbot("generate", "mine", "--kernel", "linux", "--base", "HEAD", cwd=place, code=2).stderr
    assert f"{code[1]}:{code[2]} takes longer than 0.2 s, and catches what should end it" in said


def test_a_function_may_create_the_same_file_again(tree: Tree, tmp_path: Path) -> None:
    line = "return Change((Edit('new.c', new=b'int x;\\n', create=True),))"
    toml = TITLE + STEP + 'python = "rename.py:rename"\n'
    done = made(tree, folder(tmp_path / "mine", toml, rename_py=PYTHON.format(line=line)))
    assert done.tip.read("new.c") == b"int x;\n"
    other = line.replace("'int x;", "'%d' % context.tree.exists('new.c").replace("\\n'", "')")
    with pytest.raises(
        UserError, match=r"new.c: a codemod creates it, but it exists with another content; on the tree"
    ):
        made(tree, folder(tmp_path / "mine", toml, rename_py=PYTHON.format(line=other)))


def test_what_a_function_prints_is_no_result(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "print('hello'); return Change(())"
    toml = TITLE + STEP + 'python = "rename.py:rename"\n'
    made(
        tree, folder(tmp_path / "mine", toml, rename_py="print('loaded')\n" + textwrap.dedent(PYTHON).format(line=line))
    )
    said = capsys.readouterr()
    assert said.out == ""
    assert {"loaded", "hello"} <= set(said.err.split())


KEPT = {"a/one.c:f:old_a": {"reason": "goes with another change"}, "b/": {"reason": "their own tree"}}
FOUND = """\
    from patchbot.model import Edit
    from patchbot.series.campaign import Change

    def rename(context):
        paths = context.tree.grep(["old_a"], ["a/", "b/"], word=True)
        places = [(path, context.tree.read(path).index(b"old_a(")) for path in paths]
        return Change(tuple(Edit(path, at, at + 5, b"new_a") for path, at in places))
    """


@pytest.mark.parametrize(
    "codemod", ['command = ["./rename.sh"]\n', 'python = "rename.py:rename"\n', 'cocci = "rename.cocci"\n']
)
def test_no_codemod_changes_what_a_person_decided_to_keep(tmp_path: Path, codemod: str) -> None:
    if "cocci" in codemod and not shutil.which("spatch"):
        pytest.skip("coccinelle is not installed")
    files = {"rename_sh": RENAME, "rename_py": FOUND, "rename_cocci": RULES}
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + codemod, **files)
    with pytest.raises(UserError, match=r"a/one.c:3: it changes a/one.c:f:old_a, which stays: goes with another ch"):
        made(with_c(tmp_path), mine, decisions=KEPT)


def test_a_decision_by_number_is_looked_at_again_where_there_are_more(tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS)
    kept = "[campaigns.mine.decisions]\n'a/two.c:f:old_a' = { reason = \"r\" }\n"
    (tmp_path / "patchbot.toml").write_text(f'[kernel]\npath = "linux"\n[campaigns.mine]\npath = "{mine}"\n{kept}')
    text = b"void f(void)\n{\n\told_a(1);\n\told_a(2);\n}\n"
    repo = small.make(tmp_path / "linux", {**FILES, "a/two.c": text})
    patchbot("generate", "mine", cwd=tmp_path)
    (tmp_path / "linux/a/two.c").write_bytes(text.replace(b"{\n", b"{\n\told_a(0);\n"))
    commit(tmp_path / "linux", "more")
    said = patchbot("regenerate", "mine", "--onto", repo.resolve("HEAD"), cwd=tmp_path).stderr
    wanted = 'note: the decision about "a/two.c:f:old_a" may be about another place now: 2 of this name were there when'
    assert f"{wanted} it was last used, and 3 are" in " ".join(said.split())


def test_a_correction_of_owners_for_no_path_is_said(tree: Tree, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS)
    done = made(tree, mine, owners=(OwnerRule("/a/", tree="x"), OwnerRule("b/", tree="y")))
    assert done.remarks == (
        "owners: no file of the series is or lies below /a/; a path begins at the top of the kernel",
    )


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ({}, r"lacks 'reason'"),
        ({"reason": "x", "keep": False}, r"keep is (?:false|False)"),
        ({"reson": "x"}, r"unknown key 'reson'; did you mean reason\?"),
    ],
)
def test_a_decision_says_why(tree: Tree, tmp_path: Path, decision: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(tree, folder(tmp_path / "mine", TITLE + HEAD + STEP + WORDS), decisions={"a/": decision})


def test_a_program_may_change_the_mode_of_a_file(tree: Tree, tmp_path: Path) -> None:
    script = textwrap.dedent(RENAME) + "chmod +x a/one.c\n"
    mine = folder(tmp_path / "mine", TITLE + HEAD + STEP + 'command = ["./rename.sh"]\n', rename_sh=script)
    assert made(tree, mine).tip.files(["a/one.c"])["a/one.c"].mode == "100755"


def test_a_program_outside_of_the_folder_makes_the_series_anew(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other.sh"
    toml = TITLE + HEAD + STEP + f'command = ["{other}"]\n'
    makers = []
    for text in ("#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 1\n"):
        other.write_text(text)
        other.chmod(0o755)
        config = CampaignConfig("mine", "tip", path=folder(tmp_path / "mine", toml))
        makers.append(maker(load_campaign(config), config))
    assert makers[0] != makers[1]


def test_paths_that_git_cannot_read_are_named(tree: Tree, tmp_path: Path) -> None:
    toml = TITLE + HEAD + 'paths = [":(nope)*.c"]\n' + STEP + WORDS
    with pytest.raises(UserError, match=r"(?s)sites: .*nope.*paths is ':\(nope\)\*.c'") as caught:
        made(tree, folder(tmp_path / "mine", toml))
    assert caught.value.exit_code == 2


CALLS = b"""\
int call(int a, int b);
int f(void)
{
\tcall(x, /* , */ "y,z");
\treturn call(x,
\t\t    call(1, 2));
}
int h(void)
{
\treturn call(p, q, 1);
}
const void *fn = call;
"""
ARGUMENT = """\
    from patchbot.series.campaign import Change
    from patchbot.series.codemod import edits_between

    def add(context):
        old = new = context.tree.read("a/one.c")
        for end in {ends}:
            new = new.replace(end + b")", end + b", 0)")
        return Change(tuple(edits_between("a/one.c", old, new)))
    """


def test_a_function_that_gets_an_argument_keeps_its_name(tmp_path: Path) -> None:
    repo = small.make(tmp_path / "linux", {**FILES, "a/one.c": CALLS})
    tree = Tree(repo, repo.resolve("HEAD"))
    toml = TITLE + '[sites]\nwords = ["call"]\narguments = { call = 2 }\n[[sites.keep]]\nsite = "a/one.c:fn:call"\n'
    toml += 'reason = "its type says it"\n' + STEP + 'python = "add.py:add"\n'
    ends = [b"int b", b'y,z"', b"call(1, 2"]
    with pytest.raises(RefusedSites) as caught:
        made(tree, folder(tmp_path / "some", toml, add_py=ARGUMENT.format(ends=ends)))
    assert str(caught.value).splitlines()[1:] == ["  a/one.c:5: a/one.c:f:call#2: no step changes it"]
    mine = folder(tmp_path / "all", toml, add_py=ARGUMENT.format(ends=[*ends, b"call(1, 2, 0)"]))
    done = made(tree, mine)
    assert dict(done.audit.counts) == {"files": 1, "sites": 5, "change": 4, "keep": 1, "left": 0, "mentions": 1}
    assert [p.sites for p in done.series.patches] == [
        ("a/one.c:call:call", "a/one.c:f:call", "a/one.c:f:call#2", "a/one.c:f:call#3")
    ]
    config = CampaignConfig("mine", "tip", path=mine)
    taken = load_campaign(config).audit(Tree(repo, tree.commit, done.tip.overlay), config)
    assert [site.fate for site in taken.sites] == ["keep"]


SPATCH = pytest.mark.skipif(not shutil.which("spatch"), reason="coccinelle is not installed")
RULES = "@@ expression E; @@\n- old_a(E)\n+ new_a(E)\n"
C = {
    "a/one.c": b"void f(void)\r\n{\r\n\told_a(1); /* \xe4 */\r\n\told_a(2);\r\n}",
    "b/two.c": b"int g(void)\n{\n\tif ((x {\n\told_a(3);\n}\nvoid h(void)\n{\n\told_a(4);\n}\n",
}


def with_c(tmp_path: Path) -> Tree:
    repo = small.make(tmp_path / "linux", {**FILES, **C})
    return Tree(repo, repo.resolve("HEAD"))


def smpl(tmp_path: Path, rules: str = RULES, more: str = "", keep: str = "") -> Path:
    toml = TITLE + HEAD + keep + STEP + f'cocci = "rename.cocci"\n{more}'
    return folder(tmp_path / "mine", toml, rename_cocci=rules)


@SPATCH
def test_spatch_leaves_no_site_without_a_word(tmp_path: Path) -> None:
    tree = with_c(tmp_path)
    with pytest.raises(
        RefusedSites, match=r"1 site is left.*\n  b/two.c:4: .*: no step changes it; spatch did not parse"
    ):
        made(tree, smpl(tmp_path))
    done = made(tree, smpl(tmp_path, keep='[[sites.keep]]\nsite = "b/two.c:g:old_a"\nreason = "by hand"\n'))
    assert done.tip.read("a/one.c") == C["a/one.c"].replace(b"old_", b"new_")
    assert [site.fate for site in done.audit.sites] == ["change", "change", "keep", "change"]
    assert done.remarks == ("rename: spatch did not parse 1 pieces of code; what stands there is left",)


@SPATCH
def test_spatch_leaves_no_line_of_blanks(tmp_path: Path) -> None:
    text = b"void f(void)\n{\n\told_a(x);\n\tx.f = y;\n\tz = 1;\n}\n"
    repo = small.make(tmp_path / "linux", {**FILES, "a/one.c": text, "b/two.c": b""})
    rules = "@@ expression E, F; @@\n- old_a(E);\n+ new_a(E, F);\n  ... when != E\n- E.f = F;\n"
    done = made(Tree(repo, repo.resolve("HEAD")), smpl(tmp_path, rules))
    assert done.tip.read("a/one.c") == b"void f(void)\n{\n\tnew_a(x, y);\n\tz = 1;\n}\n"


@SPATCH
@pytest.mark.parametrize(
    ("rules", "more", "said"),
    [
        (
            "@@ expression E @@\n- old_a(E)\n",
            "",
            r"mine/rename.cocci:1: spatch cannot read it: [^\[(]*$",
        ),
        ("@@ @@\n- old_a(\n+ new_a()\n", "", r"mine/rename.cocci:4: spatch cannot read it: minus: parse error$"),
        (
            "@@ @@\n- old_a(]);\n",
            "",
            r"mine/rename.cocci:2: spatch cannot read it: minus: parse error; around = '\]'$",
        ),
        (
            "no rule\n",
            "",
            r"mine/rename.cocci:1: spatch cannot read it: unexpected code before the first rule$",
        ),
        (
            "@r@\nexpression x;\n@@\n- old_a(x, y)\n+ ",
            "",
            r"cocci:4: spatch cannot read it: warning: line 4: should y be a metavariable\?; invalid minus starting",
        ),
        (RULES, "timeout = 0.001\n", r"spatch gave up 2 of 2 files:\n +a/one.c:1: spatch took longer than 0.001 s"),
        (RULES, 'options = ["--no-such-option"]\n', r"a/one.c:1: spatch ended with exit code"),
    ],
)
def test_what_spatch_cannot_do_is_said(tmp_path: Path, rules: str, more: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        made(with_c(tmp_path), smpl(tmp_path, rules, more))


@SPATCH
def test_results_of_spatch_are_kept_by_what_it_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, real = tmp_path / "log", shutil.which("spatch")
    wrapper = tmp_path / "bin/spatch"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *in-place*) echo "$*" >> {log};; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    keep = '[[sites.keep]]\nsite = "b/two.c:g:old_a"\nreason = "by hand"\n'
    tree = with_c(tmp_path)

    def runs(tree: Tree, rules: str = RULES) -> int:
        before = len(log.read_text().splitlines()) if log.exists() else 0
        made(tree, smpl(tmp_path, rules, keep=keep))
        return len(log.read_text().splitlines()) - before

    assert runs(tree) == 3  # two files, and b/two.c as it is after them
    assert runs(tree) == 0
    commit(tmp_path / "linux", "Change one", {"a/one.c": C["a/one.c"] + b"\n"})
    assert runs(Tree(tree.repo, tree.repo.resolve("HEAD"))) == 1
    assert runs(tree, RULES + "\n") == 3


@SPATCH
def test_headers_are_given_to_a_script_that_wants_them(place: Path, tmp_path: Path) -> None:
    patchbot("init", "--campaign", "mine", "--cocci", cwd=place)
    (place / "mine/rename.cocci").write_text("@@ int E; @@\n- old_call(E)\n+ new_call(E)\n")
    changed(place, "campaign.toml", '# options = ["--include-headers-for-types"]', 'options = ["--all-includes"]')
    header, user = (
        b"struct s { int f; };\nextern struct s *given;\n",
        b"#include <x.h>\nint g(void)\n{\n\treturn old_call(given->f);\n}\n",
    )
    work = tmp_path / "linux"
    repo = small.make(work, {**FILES, "include/x.h": header, "a/three.c": user})
    argv = ("generate", "mine", "--kernel", str(repo.git_dir))
    patchbot(*argv, cwd=place)
    assert b"new_call(given->f)" in (repo.read(repo.resolve("patchbot/mine"), "a/three.c") or b"")
    commit(work, "Change a type", {"include/x.h": header.replace(b"int f", b"long f")})
    assert "1 site is left" in patchbot(*argv, cwd=place, code=1).stderr


def test_without_spatch_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = with_c(tmp_path)
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(UserError, match="spatch is not installed; Debian has it in the package coccinelle") as caught:
        made(tree, smpl(tmp_path))
    assert caught.value.exit_code == 2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


KINDS = ["words", pytest.param("cocci", marks=SPATCH), "python", "command"]


@pytest.mark.parametrize("kind", KINDS)
def test_init_writes_a_campaign_that_works(place: Path, tmp_path: Path, kind: str) -> None:
    patchbot("init", "--campaign", "mine", f"--{kind}", cwd=place)
    said = patchbot("campaigns", "--test", "mine", cwd=place).stdout
    assert said == "tests/rename: as in after/; a second run makes no edit, and the patches lose none\n"
    repo = small.make(tmp_path / "linux", {**FILES, "a/three.c": b"int x(int y)\n{\n\treturn old_call(y);\n}\n"})
    patchbot("generate", "mine", "--kernel", str(repo.git_dir), cwd=place)
    assert b"return new_call(y);" in (repo.read(repo.resolve("patchbot/mine"), "a/three.c") or b"")
    for case in golden_files(place / "mine"):
        case.check()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--campaign", "mine"], "what makes the edits? --campaign mine with one of --words, --cocci"),
        (["--campaign", "../x", "--words"], "'../x' cannot be the name of a campaign"),
        (["--words"], "--words is for --campaign NAME"),
        (["--campaign", "mine", "--words", "none/none"], "here/none: no such directory"),
        (["none/none"], "here/none: no such directory"),
    ],
)
def test_init_says_what_it_needs(place: Path, argv: list[str], said: str) -> None:
    assert said in patchbot("init", *argv, cwd=place, code=2).stderr
    assert list(place.iterdir()) == []


def test_init_makes_the_folder_that_it_is_given(place: Path) -> None:
    patchbot("init", "series", "--campaign", "mine", "--words", cwd=place)
    assert "as in after/" in patchbot("campaigns", "--test", "mine", cwd=place / "series").stdout
    patchbot("init", "empty", cwd=place)
    assert (place / "empty/patchbot.toml").is_file()
    said = patchbot("init", "empty/patchbot.toml", cwd=place, code=2).stderr
    assert "empty/patchbot.toml is not a folder" in said


def test_init_overwrites_nothing_and_stays_out_of_repositories(place: Path, tmp_path: Path) -> None:
    patchbot("init", "--campaign", "mine", "--words", cwd=place)
    assert "exists" in patchbot("init", "--campaign", "mine", "--words", cwd=place, code=2).stderr
    assert "[campaigns.two]" in patchbot("init", "--campaign", "two", "--words", cwd=place).stdout
    small.make(tmp_path / "linux", FILES)
    said = patchbot("init", "--campaign", "mine", "--words", cwd=tmp_path / "linux", code=2).stderr
    assert "lies in the repository" in said


def changed(place: Path, name: str, old: str, new: str) -> None:
    file = place / "mine" / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("tests/rename/after/drivers/example/one.c", "new_call(a)", "x(a)", "+       return new_call(a)"),
        ("codemod.py", 'b"new_call"', 'b"x.old_call"', "a second run still makes 2 edits, in drivers/example/one.c"),
        ("codemod.py", "edits = []", "1 / 0", "codemod.py:10: ZeroDivisionError"),
        ("rename.txt", "{{ prefix }}", "{{ prefx }}", "rename.txt:1: 'prefx' is undefined"),
    ],
)
def test_golden_files_can_fail(place: Path, name: str, old: str, new: str, said: str) -> None:
    patchbot("init", "--campaign", "mine", "--python", cwd=place)
    changed(place, name, old, new)
    assert said in patchbot("campaigns", "--test", "mine", cwd=place, code=1).stdout
    document = json.loads(patchbot("campaigns", "--test", "mine", "--json", cwd=place, code=1).stdout)
    assert document["tests"][0]["failures"]
    (case,) = golden_files(place / "mine")
    with pytest.raises(AssertionError):
        case.check()


def test_a_test_of_no_step_is_named(place: Path) -> None:
    patchbot("init", "--campaign", "mine", "--words", cwd=place)
    (place / "mine/tests/rename").rename(place / "mine/tests/rnm")
    assert (
        "there is no step 'rnm'; there are rename" in patchbot("campaigns", "--test", "mine", cwd=place, code=2).stderr
    )
    shutil.rmtree(place / "mine/tests")
    assert "no golden files" in patchbot("campaigns", "--test", "mine", cwd=place, code=2).stderr


@pytest.mark.parametrize("name", ["timer_delete", pytest.param("hrtimer_setup", marks=SPATCH)])
def test_the_shipped_campaigns_make_what_their_golden_files_say(name: str) -> None:
    for case in golden_files(Path(load_campaign(CampaignConfig(name)).folder or "")):
        case.check()


def test_scan_shows_fates_and_needs_no_table_for_a_shipped_campaign(tmp_path: Path) -> None:
    text = b"void f(void)\n{\n\tdel_timer(&x);\n}\n"
    repo = small.make(
        tmp_path / "linux", {**FILES, "a/three.c": text, "include/linux/timer.h": b"int del_timer(int);\n"}
    )
    document = json.loads(patchbot("scan", "timer_delete", "--json", cwd=repo.git_dir.parent).stdout)
    assert document["entries"] == [
        {"name": "a/three.c:f:del_timer", "word": "del_timer", "file": "a/three.c", "line": 3}
        | {"fate": "change", "reason": "", "conditions": []},
        {"name": "include/linux/timer.h:del_timer:del_timer", "word": "del_timer", "file": "include/linux/timer.h"}
        | {"line": 1, "fate": "keep", "reason": "the wrappers go when nothing uses them any more", "conditions": []},
    ]
    assert document["counts"] == {"files": 2, "sites": 2, "change": 1, "keep": 1, "left": 0, "mentions": 0}


@SPATCH
def test_ctrl_c_keeps_what_spatch_found(place: Path, tmp_path: Path) -> None:
    patchbot("init", "--campaign", "mine", "--cocci", cwd=place)
    bodies = {f"a/f{n}.c": b"int f%d(int y)\n{\n\treturn old_call(y);\n}\n" % n for n in range(4)}
    repo = small.make(tmp_path / "linux", {**FILES, **bodies})
    real, ready = shutil.which("spatch"), tmp_path / "ready"
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/spatch"
    # The last file hangs; the others are done by then, since one runs at a time.
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *f3.c) touch {ready}; exec sleep 60;; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    argv = [sys.executable, "-m", "patchbot.cli", "scan", "mine", "--jobs", "1", "--kernel", str(repo.git_dir)]
    env = {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    child = subprocess.Popen(argv, cwd=place, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited(lambda: ready.exists())
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *in-place*) echo x >> {tmp_path}/log;; esac\nexec {real} "$@"\n')
    subprocess.run(argv, cwd=place, env=env, check=True, capture_output=True)
    assert (tmp_path / "log").read_text() == "x\n"


def waited(until: Callable[[], bool]) -> None:
    from time import sleep

    for _ in range(600):
        if until():
            return
        sleep(0.1)
    raise AssertionError("it did not come to that")
