"""What mails say of steps: nothing of those that made no patch, and that several optional ones are posted at once."""

from pathlib import Path

from tinytree import build, patchbot


def mailed(tree: Path, toml: str = "") -> tuple[str, str]:
    """Generate and return what `mail` prints, and its letter, each on one line."""
    (tree / ".git/patchbot.toml").write_text(f"[campaigns.kfunc_flags]\n{toml}")
    patchbot("generate", cwd=tree)
    said = patchbot("mail", "-o", str(tree.parent / "out"), cwd=tree).stdout
    return " ".join(said.split()), " ".join((tree.parent / "out/0000-cover-letter.patch").read_text().split())


def test_steps_in_the_letter(tmp_path: Path) -> None:
    build(tmp_path / "linux")
    said, letter = mailed(tmp_path / "linux")
    assert "optional steps" not in said
    assert "KFA_RDONLY" not in letter, "no kfunc of this tree takes const memory that can have it"
    assert "a reference is released OBJ_RELEASE KFA_RELEASE" in letter
    said, letter = mailed(tmp_path / "linux", 'with = ["suffixes", "acquire"]\n')
    assert "The patches of 2 optional steps are posted at once: suffixes, acquire." in said
    assert "KFA_SZ, KFA_CONST_SZ and KFA_IGN say of an argument what the suffixes" in letter
    said, letter = mailed(tmp_path / "linux", 'with = ["acquire"]\n')
    assert "optional steps" not in said
    assert "KFA_SZ" not in letter
