/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_COMPILER_H
#define _LINUX_COMPILER_H

#include <linux/compiler_attributes.h>

#define ___PASTE(a, b) a##b
#define __PASTE(a, b) ___PASTE(a, b)

#define __diag_str1(s) #s
#define __diag(s) _Pragma(__diag_str1(GCC diagnostic s))
#define __diag_push() __diag(push)
#define __diag_pop() __diag(pop)
#define __diag_ignore_all(option, comment) __diag(ignored option)

#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)

#endif
