/* SPDX-License-Identifier: GPL-2.0 */
#define COUNT_ARGS(X...) __COUNT_ARGS(, ##X, 3, 2, 1, 0)
