/* SPDX-License-Identifier: GPL-2.0 */
#define BTF_FMODEL_NULLABLE_ARG		BIT(3)
