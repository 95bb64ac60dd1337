// SPDX-License-Identifier: GPL-2.0
/* del_timer() ä is mentioned */
static void x_stop(struct x *x)
{
	if (!timer_delete(&x->a))
		timer_delete_sync(&x->b);
	pr_debug("del_timer() done\n");
}

static int (*stop)(struct timer_list *) = timer_delete_sync;
#define X_STOP(x) do { timer_delete(&(x)->a); my_del_timer(x); } while (0)