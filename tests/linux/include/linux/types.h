/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_TYPES_H
#define _LINUX_TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef unsigned int __u32;
typedef unsigned long long __u64;

typedef _Bool bool;
typedef __SIZE_TYPE__ size_t;
typedef unsigned int gfp_t;

#define true 1
#define false 0
#define NULL ((void *)0)

#endif
