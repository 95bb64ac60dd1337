#define KF_RELEASE	(1 << 1) /* kfunc is a release function */
#define KF_RCU		(1 << 7) /* kfunc takes either rcu or trusted pointer arguments */
#define KF_IMPLICIT_ARGS (1 << 16) /* kfunc has implicit arguments */
