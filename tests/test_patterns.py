"""No text of a tree, a log or a mail makes a regular expression slow."""

from __future__ import annotations

import re
from typing import Any

import pytest
from attacks import Slow, attacks, cpu, made, patterns

#: Processor seconds for 1 MB: linear patterns need up to 2, a quadratic one needs hundreds.
LIMIT = 20.0
#: Patterns that never see more: {file: (characters, who sees to it)}.
BOUNDED: dict[str, tuple[int, str]] = {
    f"patchbot/{name}.py": (1000, "parts.MOST_LINE")
    for name in ("mail/doubts", "mail/quoting", "mail/replies", "mail/said", "mail/scope")
}
PATTERNS = list(patterns())


def size(where: str) -> int:
    return BOUNDED.get(where.split(":")[0], (1 << 20, ""))[0]


def worst(pattern: re.Pattern[Any], method: str, most: int = 1 << 20) -> list[tuple[str, str, str]]:
    """Return the attacks that take longest on a short text, which shows what is worst on a long one."""
    found = [(cpu(pattern, method, made(pattern, a, min(3000, most)), 5.0), a) for a in attacks(pattern)]
    return [attack for _, attack in sorted(found, reverse=True)[:2]]


@pytest.mark.parametrize(("where", "pattern", "method"), PATTERNS, ids=[f"{w}-{m}" for w, _, m in PATTERNS])
def test_a_pattern_takes_linear_time(where: str, pattern: re.Pattern[Any], method: str) -> None:
    for attack in worst(pattern, method, size(where)):
        try:
            cpu(pattern, method, made(pattern, attack, size(where)), LIMIT)
        except Slow:
            pytest.fail(f"{where}: {pattern.pattern!r} is not linear: {attack}")


@pytest.mark.parametrize("text", [r"(a+)+$", r"\s+$", r"<[^>]*>", r"a.*b.*c", r"(?:x|y|xy)*z"])
def test_a_slow_pattern_is_found(text: str) -> None:
    with pytest.raises(Slow):
        for attack in worst(re.compile(text), "search"):
            cpu(re.compile(text), "search", made(re.compile(text), attack, 1 << 20), 3.0)
