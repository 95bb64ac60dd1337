// SPDX-License-Identifier: GPL-2.0
/* hrtimer_init() is mentioned. */
static void x_start(struct x *x)
{
	hrtimer_init(&x->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	x->timer.function = x_timer;
	x->ready = true;
}

static void x_more(struct hrtimer *timer, struct x *x)
{
	timer->function = x_more_timer;
	hrtimer_init(timer, CLOCK_REALTIME,
		     HRTIMER_MODE_ABS);

	hrtimer_init(&x->second, x->clock, x->mode);
	spin_lock_init(&x->lock);
	x->second.function = &x_second;
}
