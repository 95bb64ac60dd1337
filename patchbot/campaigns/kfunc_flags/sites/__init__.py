"""Find every kfunc set of a tree, and give each row a fate."""
