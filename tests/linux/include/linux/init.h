/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_INIT_H
#define _LINUX_INIT_H

#define __init
#define __exit __attribute__((__used__))

#define late_initcall(function) int (*const __initcall_##function)(void) = function

#endif
