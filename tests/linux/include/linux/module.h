/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MODULE_H
#define _LINUX_MODULE_H

struct module;

#define THIS_MODULE ((struct module *)0)
#define EXPORT_SYMBOL_GPL(symbol) extern const int __export_##symbol
#define MODULE_LICENSE(text) extern const int __license
#define late_initcall(function) int (*const __initcall_##function)(void) = function
#define module_init(function) late_initcall(function)
#define __init

#endif
