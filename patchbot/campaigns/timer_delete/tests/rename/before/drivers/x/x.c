// SPDX-License-Identifier: GPL-2.0
/* del_timer() ä is mentioned */
static void x_stop(struct x *x)
{
	if (!del_timer(&x->a))
		del_timer_sync(&x->b);
	pr_debug("del_timer() done\n");
}

static int (*stop)(struct timer_list *) = del_timer_sync;
#define X_STOP(x) do { del_timer(&(x)->a); my_del_timer(x); } while (0)