"""The flagship: flags for single arguments of BPF kfuncs."""
