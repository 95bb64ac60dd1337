#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
# Write a .cmd file: the command that made an object, and the files that the compiler says it was made of.
use strict;
use warnings;

my ($object, $source, $file, $command) = @ARGV;
open(my $in, '<', $file) or die "$file: $!\n";
my $text = join('', <$in>);
$text =~ s/^[^:]*://;
$text =~ s/\\\n/ /g;
my @made_of = grep { $_ ne $source } split(' ', $text);
print "saved_$object := $command\n\nsource_$object := $source\n\ndeps_$object := \\\n";
print "  $_ \\\n" for @made_of;
print "\n$object: \$(wildcard \$(source_$object) \$(deps_$object))\n";
