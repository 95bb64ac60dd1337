"""Let a signal end a run: its children end at once, half-written work is undone, the exit code names the signal.

A signal that arrives while refs move, or while a program is being started, waits until that is done: it takes
milliseconds, and must not be left half done.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_leave = os._exit
#: So many seconds after the first signal, another one no longer waits for the run to unwind.
PATIENCE = 1.0
#: The signals that end a run; an ignored one (nohup, a job in the background) stays ignored.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Stopped(KeyboardInterrupt):
    """A signal ends the run; `number` says which."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {name}")
        self.number = number


#: How often what is inside `limit` may catch its end.
UNHEARD = 3


class _State:
    """The state of signals in this process: the one that ends it, and how deep it is in uninterruptible work."""

    stop = 0
    since = 0.0
    depth = 0
    waiting = False


_state = _State()
#: For whom this thread works, where one process works for several; they are ended one by one.
_client: ContextVar[str] = ContextVar("client", default="")
_ended: set[str] = set()
#: Called for every signal: run.py ends its children.
listeners: list[Callable[[], None]] = []
#: Called before a process ends at once, because unwinding after the first signal takes too long.
leavers: list[Callable[[], None]] = []


def stopped() -> bool:
    """Say whether a signal ends this run."""
    return bool(_state.stop)


def check() -> None:
    """Raise Stopped if a signal ends this run: a thread that still runs must not start anything more.

    Work that must not be interrupted still finishes, with everything that it starts.
    """
    if _state.stop and not (main_thread() and _state.depth):
        raise Stopped(_state.stop)
    if client() in _ended:
        raise Stopped(signal.SIGINT)


def client() -> str:
    """Return for whom this thread works, "" for the person who started the process."""
    return _client.get()


@contextmanager
def working_for(name: str) -> Iterator[None]:
    """Do what is inside for somebody whom `end` knows by that name."""
    token = _client.set(name)
    try:
        check()
        yield
    finally:
        _client.reset(token)


def end(name: str) -> None:
    """End what is done for somebody from now on, as a signal ends a run."""
    _ended.add(name)


class Late(BaseException):
    """The time of something is over: no Exception, which it could catch."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def main_thread() -> bool:
    """Say whether signals are handled in this thread."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def heard() -> Iterator[None]:
    """Let signals raise Stopped inside, once; later ones only end what was started since."""
    if not main_thread():
        yield
        return
    hook = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if lost.exc_type is Stopped else hook(lost)
    before = {n: old for n in ENDING if (old := signal.getsignal(n)) not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, _stop)
    try:
        yield
        check()  # Python drops an exception in a finalizer, and would print it
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        sys.unraisablehook = hook
        _state.stop, _state.depth, _state.waiting = 0, 0, False


def _stop(number: int, _: FrameType | None) -> None:
    """Handle a signal."""
    first, _state.stop = not _state.stop, _state.stop or number
    if _state.depth:
        _state.waiting = True
        return
    for listener in listeners:
        listener()
    if first:
        _state.since = time.monotonic()
        raise Stopped(number)
    if time.monotonic() - _state.since > PATIENCE:
        for leaver in leavers:
            leaver()
        _leave(128 + number)


@contextmanager
def staying() -> Iterator[None]:
    """Make os._exit() inside raise SystemExit: it would end this process with that code and without a word."""
    own, before = os.getpid(), os._exit

    def leave(code: int) -> None:
        if os.getpid() != own:  # a child that was forked inside may end
            _leave(code)
        raise SystemExit(f"os._exit({code})")

    os._exit = leave  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = before


@contextmanager
def left_alone() -> Iterator[None]:
    """Leave what a person types (Ctrl-C, Ctrl-\\) to a program in the foreground."""
    before = {}
    if main_thread():
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def whole() -> Iterator[None]:
    """Finish the work inside, and only then let a signal that came meanwhile end the run."""
    check()
    if not main_thread():
        yield
        return
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
        if _state.waiting and not _state.depth:
            _state.waiting = False
            for listener in listeners:
                listener()
            raise Stopped(_state.stop)


@contextmanager
def limit(seconds: float, error: Callable[[FrameType | None], Exception]) -> Iterator[None]:
    """Raise an error, made of where the program is then, in what is inside after some seconds of it.

    What catches each Exception inside goes on no longer than that either; what catches all gets it every second, and
    the process ends with exit code 2 if that does not help.
    """
    if not main_thread():
        yield
        return

    left = itertools.count(UNHEARD, -1)

    def late(number: int, frame: FrameType | None) -> None:
        if not next(left):
            for leave in leavers:
                leave()
            os.write(2, f"patchbot: {error(frame)}, and catches what should end it\n".encode("utf-8", "replace"))
            _leave(2)
        raise Late(error(frame))

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    except Late as ended:
        raise ended.error from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
