"""The main path, from a tree and a campaign to a series of patches; nothing here writes."""
