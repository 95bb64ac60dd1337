@@
expression list ES;
@@
- old_call(ES)
+ new_call(ES)
