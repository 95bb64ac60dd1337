// hrtimer_init() and the assignment of .function become one call: first where one follows the other, then where there is
// code between them that does not use the timer. What uses it there is left for a person.

@@
expression T, C, M, F;
@@
- hrtimer_init(&T, C, M);
- T.function = F;
+ hrtimer_setup(&T, F, C, M);

@@
expression T, C, M, F;
@@
- hrtimer_init(T, C, M);
- T->function = F;
+ hrtimer_setup(T, F, C, M);

@@
expression T, C, M, F;
@@
- hrtimer_init(&T, C, M);
+ hrtimer_setup(&T, F, C, M);
  ... when != T
- T.function = F;

@@
expression T, C, M, F;
@@
- hrtimer_init(T, C, M);
+ hrtimer_setup(T, F, C, M);
  ... when != T
- T->function = F;

@@
expression T, C, M, F;
@@
- T.function = F;
  ... when != T
- hrtimer_init(&T, C, M);
+ hrtimer_setup(&T, F, C, M);

@@
expression T, C, M, F;
@@
- T->function = F;
  ... when != T
- hrtimer_init(T, C, M);
+ hrtimer_setup(T, F, C, M);
