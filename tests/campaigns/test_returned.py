"""What the functions of a person's campaign.py return: no type checker may have read it, and no site may be lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sample

from patchbot.campaigns import load_campaign
from patchbot.errors import UserError
from patchbot.series.generate import generate

AUDIT = 'Audit(tuple(sites), (), {"counts": {"change": len(sites)}})'
WORDS = '{"key": key or "everything", "count": len(edits)}'
OWNERS = 'sorted({p.split("/")[0].upper() for p in paths})'
SPLIT = "lambda edit: edit.path"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"change" if', '"chnge" if', r"campaign\.py: audit\(\): a/one\.c:1: the fate of a/one\.c:x is 'chnge', not"),
        (AUDIT, "None", r"audit\(\) must return an Audit, not None"),
        (AUDIT, "Audit(tuple(sites), None)", r"audit\(\): warnings are None, not a tuple"),
        (AUDIT, "Audit((1,))", r"audit\(\): one of the sites is 1, not Site"),
        ("path, line, fate", "path, str(line), fate", r"audit\(\): Site 'a/one\.c:x': line is '1', not a number"),
        ('b"NEW"', '"NEW"', r"words: its codemod: Edit of 'a/one\.c': new is 'NEW', not bytes"),
        ("match.start(), match.start() + 3", "match[0], 3", r"Edit of 'a/one\.c': start is b'OLD x', not a number"),
        ("Change(tuple(edits))", "Change(7)", r"words: its codemod: edits are 7, not a tuple"),
        ("Change(tuple(edits))", 'Change((), remarks="so")', r"words: its codemod: remarks are 'so', not a tuple"),
        (SPLIT, "None", r"words: split must return a function, not None"),
        (SPLIT, "lambda edit: 3", r"words: the function that split returned must return a text, not 3"),
        (WORDS, "3", r"words: words must return a mapping, not 3"),
        (WORDS, "{}", r"words\.txt\.j2:\d+: 'key' is undefined"),
        (OWNERS, "None", r"campaign sample: owners_of must return a list, not None"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(sample.FOLDER, folder)
    code = (folder / "campaign.py").read_text()
    assert old in code
    (folder / "campaign.py").write_text(code.replace(old, new, 1))
    config = replace(sample.CONFIG, path=folder)
    with pytest.raises(UserError, match=said) as caught:
        generate(sample.tree(tmp_path), load_campaign(config), config)
    assert caught.value.exit_code == 2
