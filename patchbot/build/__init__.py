"""Compile a kernel or single objects of it, and boot it."""
