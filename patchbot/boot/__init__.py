"""Boot a kernel in QEMU and learn what its verifier says, because nothing less shows what a flag does.

One module a step: rows (what is loaded and expected), images (link kernels and modules), linked (what resolve_btfids
made of the sets), programs (compile), initramfs, qemu (run), serial (parse), judge.
"""
