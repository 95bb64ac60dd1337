"""Write an initramfs without root: a cpio archive in the form that the kernel unpacks (newc), compressed with gzip."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Mapping
from pathlib import Path

DEVICES = {"dev/console": (5, 1), "dev/null": (1, 3)}


def pack(files: Mapping[str, bytes], path: Path) -> None:
    """Write an initramfs with `files` ({path: content}, all of them executable) and a console to `path`."""
    names = sorted({*files, *DEVICES})
    folders = sorted({str(parent) for name in names for parent in Path(name).parents if str(parent) != "."})
    parts = [entry(folder, stat.S_IFDIR | 0o755, b"") for folder in folders]
    for name in names:
        if name in DEVICES:
            parts.append(entry(name, stat.S_IFCHR | 0o600, b"", DEVICES[name]))
        else:
            parts.append(entry(name, stat.S_IFREG | 0o755, files[name]))
    parts.append(entry("TRAILER!!!", 0, b""))
    path.write_bytes(gzip.compress(b"".join(parts), compresslevel=1, mtime=0))


def entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    """Return one entry: header, name and content, each padded to four bytes."""
    raw = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
