"""Say what a test needs that not every machine has, and how to get it."""

from __future__ import annotations

import shutil

import pytest

needs_s390 = pytest.mark.skipif(
    not shutil.which("s390x-linux-gnu-gcc"), reason="apt-get install gcc-s390x-linux-gnu enables it"
)
