#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
# Who looks after what a patch, or with -f a file, touches: the same lines as the real script prints.
use strict;
use warnings;

my ($by_file, $roles, @inputs) = (0, 1);
for (@ARGV) {
	if ($_ eq '-f' || $_ eq '--file') { $by_file = 1 }
	elsif (/^--(no-?)?roles$/) { $roles = !$1 }
	elsif (/^--/) { next }
	else { push @inputs, $_ }
}

my @files;
if ($by_file) {
	@files = @inputs;
} else {
	for my $input (@inputs ? @inputs : '-') {
		open(my $in, $input) or die "$input: $!\n";
		while (<$in>) {
			push @files, $1 if m{^\+\+\+ b/(\S+)} || m{^--- a/(\S+)};
		}
	}
}
die "$0: no files in the patch\n" if !@files;

my (@sections, $title);
open(my $maintainers, '<', 'MAINTAINERS') or die "MAINTAINERS: $!\n";
while (<$maintainers>) {
	chomp;
	if (/^([A-Z]):\s*(.*\S)/) {
		push @{$sections[-1]{$1}}, $2 if @sections;
	} elsif (/^\S/ && !/^[-=]/) {
		push @sections, { title => $_ };
	}
}

sub depth {
	my ($path) = @_;
	return ($path =~ tr{/}{});
}

sub takes {
	my ($pattern, $path) = @_;
	my $regex = quotemeta($pattern);
	$regex =~ s/\\\*/.*/g;
	return 0 if $path !~ m{^$regex};
	return $pattern =~ m{/$} || depth($path) == depth($pattern);
}

my (%score, %seen);
for my $section (@sections) {
	for my $path (@files) {
		next if grep { takes($_, $path) } @{$section->{X} // []};
		for my $pattern (grep { takes($_, $path) } @{$section->{F} // []}) {
			my $value = $pattern =~ /^\*/ ? 0 : 1 + depth($pattern);
			$score{$section->{title}} = $value if ($score{$section->{title}} // -1) < $value;
		}
	}
}
my %word = (M => 'maintainer', R => 'reviewer', L => 'open list');
my @found = sort { $score{$b->{title}} <=> $score{$a->{title}} } grep { defined $score{$_->{title}} } @sections;
for my $kinds (['M', 'R'], ['L']) {
	for my $section (@found) {
		for my $kind (@$kinds) {
			for my $who (@{$section->{$kind} // []}) {
				next if $seen{$who}++;
				print $who, $roles ? " ($word{$kind}:$section->{title})" : '', "\n";
			}
		}
	}
}
