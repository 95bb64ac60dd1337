"""Everything that asks git or writes what git reads; no other folder does."""
