// SPDX-License-Identifier: GPL-2.0
/* hrtimer_init() is mentioned. */
static void x_start(struct x *x)
{
	hrtimer_setup(&x->timer, x_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	x->ready = true;
}

static void x_more(struct hrtimer *timer, struct x *x)
{
	hrtimer_setup(timer, x_more_timer, CLOCK_REALTIME, HRTIMER_MODE_ABS);

	hrtimer_setup(&x->second, &x_second, x->clock, x->mode);
	spin_lock_init(&x->lock);
}
