#define KF_RELEASE	(1 << 1) /* kfunc is a release function */
#define KF_TRUSTED_ARGS (1 << 4) /* kfunc only takes trusted pointer arguments */
#define KF_RCU          (1 << 7) /* kfunc takes either rcu or trusted pointer arguments */
