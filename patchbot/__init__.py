"""patchbot: a kernel patch-series generator and checker."""

__version__ = "0.1.0"
