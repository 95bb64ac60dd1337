#!/bin/sh
# The names of the files are on stdin, one a line. Strings and comments are not code: a real script must leave them out.
tr '\n' '\0' | xargs -0 -r sed -i '/^\/\*/!{/pr_info/!s/\bold_call(/new_call(/g}'
