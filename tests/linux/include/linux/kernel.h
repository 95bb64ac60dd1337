/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KERNEL_H
#define _LINUX_KERNEL_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/stringify.h>
#include <linux/types.h>

#define U32_MAX ((u32)~0U)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define offsetof(type, member) __builtin_offsetof(type, member)
#define struct_size(p, member, count) (sizeof(*(p)) + sizeof((p)->member[0]) * (count))
#define min(a, b) ((a) < (b) ? (a) : (b))

#define WARN_ON(condition) ({ bool __warn = !!(condition); __warn; })
#define WARN_ON_ONCE(condition) WARN_ON(condition)

int printk(const char *format, ...) __printf(1, 2);
#define pr_err(format, ...) printk(format, ##__VA_ARGS__)

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline unsigned int hweight32(unsigned int n)
{
	return __builtin_popcount(n);
}

static inline bool IS_ERR(const void *pointer)
{
	return (unsigned long)pointer >= (unsigned long)-4095L;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}

#endif
