/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_COMPILER_ATTRIBUTES_H
#define _LINUX_COMPILER_ATTRIBUTES_H

#define __maybe_unused __attribute__((__unused__))
#define __used __attribute__((__used__))
#define __noclone __attribute__((__noclone__))
#define noinline __attribute__((__noinline__))
#define __always_inline inline __attribute__((__always_inline__))
#define __printf(a, b) __attribute__((__format__(printf, a, b)))
#define __section(name) __attribute__((__section__(name)))
#define __retain

#endif
