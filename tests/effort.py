"""How much work something is, told without a clock: the same number on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Those who want to hear of each program that is started; an audit hook itself cannot be taken away again.
_listening: list[list[str]] = []


def bytecodes(call: Callable[[], object]) -> int:
    """Run `call` and return how many bytecodes its thread executed."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@contextmanager
def started() -> Iterator[list[str]]:
    """Give a list that gets the name of each program that this process starts."""
    names: list[str] = []
    _listening.append(names)
    try:
        yield names
    finally:
        _listening.remove(names)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        for names in _listening:
            names.append(str(args[0]))


sys.addaudithook(_heard)
