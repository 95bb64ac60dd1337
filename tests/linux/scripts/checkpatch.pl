#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
# A few rules about patches, in the format of the real script: --terse, --show-types, --no-tree, --strict.
use strict;
use warnings;

my $V = '0.32';
my (%option, @inputs);
for (@ARGV) {
	if (/^--([a-z-]+)(?:=(.*))?$/) { $option{$1} = $2 // 1 }
	elsif ($_ eq '-q') { $option{quiet} = 1 }
	else { push @inputs, $_ }
}
if ($option{version} || $option{help}) {
	print "Usage: checkpatch.pl [OPTION]... [FILE]...\nVersion: $V\n";
	exit 0;
}
my %ignored = map { $_ => 1 } split(/,/, $option{ignore} // '');
my $width = $option{'max-line-length'} // 100;
my %count = (ERROR => 0, WARNING => 0, CHECK => 0);
my ($path, $line_in_file, $number, $signed) = ('', 0, 0, 0);

sub report {
	my ($level, $type, $message, $text) = @_;
	return if $ignored{$type} || ($level eq 'CHECK' && !$option{strict});
	$count{$level}++;
	my $shown = $option{'show-types'} ? "$level:$type" : $level;
	if ($option{terse}) {
		my $where = $path ? "$path:$line_in_file" : "-:$number";
		print "$where: $shown: $message\n";
		return;
	}
	print "$shown: $message\n";
	print "#$number: ", ($path ? "FILE: $path:$line_in_file:" : ''), "\n$text\n" if $text ne '';
	print "\n";
}

@inputs = ('-') if !@inputs;
for my $input (@inputs) {
	open(my $in, $input eq '-' ? '<-' : "<$input") or die "$input: $!\n";
	my $in_diff = 0;
	while (<$in>) {
		chomp;
		$number++;
		$signed = 1 if /^Signed-off-by: \S/;
		if (m{^\+\+\+ b/(\S+)}) { ($path, $in_diff) = ($1, 1); next }
		if (/^@@ -\d+(?:,\d+)? \+(\d+)/) { $line_in_file = $1 - 1; next }
		if (!$in_diff) {
			report('WARNING', 'COMMIT_LOG_LONG_LINE', 'Prefer a maximum 75 chars per line', $_)
				if length > 75 && /^\S/ && !/^(?:From|Subject|Date|To|Cc|diff|index|---|\+\+\+| )/ && !/:\/\//;
			next;
		}
		next if /^-/ || !/^[+ ]/;
		$line_in_file++;
		next if !/^\+(.*)/;
		my $text = $1;
		report('ERROR', 'TRAILING_WHITESPACE', 'trailing whitespace', $_) if $text =~ /[ \t]$/;
		report('ERROR', 'CODE_INDENT', 'code indent should use tabs where possible', $_)
			if $path =~ /\.[ch]$/ && $text =~ /^ {8}/;
		(my $wide = $text) =~ s/\t/        /g;
		report('WARNING', 'LONG_LINE', 'line length of ' . length($wide) . " exceeds $width columns", $_)
			if length($wide) > $width && $path =~ /\.[ch]$/;
		report('WARNING', 'LEADING_SPACE', 'please, no spaces at the start of a line', $_)
			if $path =~ /\.[ch]$/ && $text =~ /^ [^ *]/;
		report('CHECK', 'CAMELCASE', "Avoid CamelCase: <$1>", $_)
			if $path =~ /\.[ch]$/ && $text =~ /\b([a-z]+[A-Z]\w*)\b/;
	}
}
$path = '';
report('ERROR', 'MISSING_SIGN_OFF', 'Missing Signed-off-by: line(s)', '')
	if !$signed && ($option{signoff} // 1) && !$option{'no-signoff'};
print "total: $count{ERROR} errors, $count{WARNING} warnings, ", ($option{strict} ? "$count{CHECK} checks, " : ''),
	"$number lines checked\n" if !$option{quiet} || $count{ERROR} + $count{WARNING} + $count{CHECK};
exit($count{ERROR} + $count{WARNING} + $count{CHECK} ? 1 : 0);
