"""Boot a kernel in QEMU and see what its verifier says, because nothing less shows what a flag does.

There is one module a step: trials (what is loaded and expected), fit (which of them a kernel can run), linked (what its
resolve_btfids made of the sets), programs (compile), serial (parse what the booted kernel prints), judge.
"""
