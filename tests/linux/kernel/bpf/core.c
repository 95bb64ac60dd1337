// SPDX-License-Identifier: GPL-2.0-only
/* What is built even without the system call. */

#include <linux/bpf.h>

enum bpf_prog_type resolve_prog_type(const struct bpf_prog *prog)
{
	return prog->type;
}
