/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MODULE_H
#define _LINUX_MODULE_H

#include <linux/init.h>
#include <linux/kernel.h>

struct module;

#define THIS_MODULE ((struct module *)0)
#define EXPORT_SYMBOL_GPL(symbol) extern const int __export_##symbol
#define MODULE_LICENSE(text) extern const int __license
#define MODULE_DESCRIPTION(text) extern const int __description
#define module_init(function) late_initcall(function)
#define module_exit(function) extern const int __exit_##function

/* Programs call it through a pointer. */
#define CFI_NOSEAL(function) extern const int __noseal_##function

#endif
