// SPDX-License-Identifier: GPL-2.0
/* old_call() in a comment stays. */
int one(int a)
{
	pr_info("old_call() in a string stays, too\n");
	return old_call(a) + my_old_call(old_call(a + 1));
}
