/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_ERRNO_H
#define _LINUX_ERRNO_H

#define ENOENT 2
#define E2BIG 7
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EINVAL 22
#define EBADMSG 74
#define EOVERFLOW 75

#endif
