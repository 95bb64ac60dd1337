"""Boot a kernel in QEMU with an initramfs, in bounded time, and keep the output on its serial line.

QEMU translates the code itself, and a boot takes 5 s: KVM is missing on most builders and broken on many that are
virtual themselves. A panic ends the machine (panic=-1 with -no-reboot), a hang ends by the time-out; what a kernel
says is bounded, too.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError, Unfinished
from ..run import MOST_LOGGED, run, which

QEMU = "qemu-system-x86_64"
PACKAGE = "qemu-system-x86"
#: No rate limit for /dev/kmsg, where everything is reported. The kernel's timer test counts interrupts while it spins,
#: and panics ("IO-APIC + timer doesn't work!") if the host is too busy to deliver them.
CMDLINE = "console=ttyS0 panic=-1 ignore_loglevel printk.devkmsg=on no_timer_check"
#: The machine's clock counts instructions, a billion a second, so what the host does besides changes no time in it.
COUNTED = ("-icount", "shift=0,sleep=off")
#: How many bytes a kernel may say.
MOST_SAID = MOST_LOGGED
#: QEMU drops what does not fit into its files; a shell counts blocks of 512 bytes.
BOUNDED = ("sh", "-c", 'ulimit -f "$0"; exec "$@"')


@dataclass(frozen=True)
class Boot:
    """A run of a machine: the text of the serial line, how long it took, and whether it had to be killed."""

    serial: str
    seconds: float
    timed_out: bool


def command(
    kernel: Path, initramfs: Path | None, serial: str, cmdline: str = CMDLINE, *, counted: bool = False
) -> list[str]:
    """Return QEMU's command line; with `counted`, for a machine whose clock counts instructions."""
    return [
        QEMU,
        *("-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "768"),
        *(COUNTED if counted else ()),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", serial),
        *("-kernel", str(kernel), *(("-initrd", str(initramfs)) if initramfs else ()), "-append", cmdline),
    ]


def boot(
    kernel: Path, initramfs: Path | None, log: Path, timeout: float, cmdline: str = CMDLINE, *, counted: bool = False
) -> Boot:
    """Boot a kernel and return its output; `log` gets the serial line unchanged.

    Raises ToolError if QEMU itself cannot start the machine, or if the kernel says more than a log may hold.
    """
    which(QEMU, PACKAGE)
    log.unlink(missing_ok=True)
    started = time.monotonic()
    timed_out = False
    argv = command(kernel, initramfs, f"file:{log}", cmdline, counted=counted)
    try:
        done = run(argv, check=False, timeout=timeout, inside=(*BOUNDED, str(MOST_SAID >> 9)))
    except Unfinished:
        timed_out = True
    else:
        if done.returncode:
            raise ToolError(f"QEMU cannot run the kernel: {done.explain()}")
    if log.exists() and log.stat().st_size >= MOST_SAID:
        raise ToolError(f"the kernel said more than {MOST_SAID >> 20} MB; the first of them are in {log}")
    text = log.read_bytes().decode("utf-8", "replace").replace("\r", "") if log.exists() else ""
    return Boot(text, time.monotonic() - started, timed_out)


def shell_line(kernel: Path, initramfs: Path, *, counted: bool = False) -> str:
    """Return the shell line that boots the same by hand."""
    return shlex.join(command(kernel, initramfs, "stdio", counted=counted))
