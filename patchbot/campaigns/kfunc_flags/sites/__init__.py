"""Every kfunc set of a tree, and the fate of each of its rows."""
