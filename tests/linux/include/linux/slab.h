/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SLAB_H
#define _LINUX_SLAB_H

#include <linux/types.h>

#define GFP_KERNEL 0x1U
#define __GFP_NOWARN 0x2U

void kfree(const void *pointer);
void *krealloc(const void *pointer, size_t size, gfp_t flags);
void *kzalloc(size_t size, gfp_t flags);

#define kzalloc_obj(object, flags) ((__typeof__(object) *)kzalloc(sizeof(object), flags))

#endif
