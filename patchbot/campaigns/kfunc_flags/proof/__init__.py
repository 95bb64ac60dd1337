"""What kfunc sets mean, read from compiled objects."""
