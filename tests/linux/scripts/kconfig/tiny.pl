#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
# What is needed of Kconfig: config, bool, default, depends on, select; the *config targets; autoconf.h.
use strict;
use warnings;

my ($what, $file, $more) = @ARGV;
my (%symbols, @order, $name);

sub slurp {
	my ($path) = @_;
	open(my $in, '<', $path) or return ();
	return <$in>;
}

sub settings {
	my %found;
	for (@_) {
		$found{$1} = $2 if /^CONFIG_(\w+)=(.*)$/;
		$found{$1} = 'n' if /^# CONFIG_(\w+) is not set$/;
	}
	return %found;
}

if ($what eq 'header') {
	my %set = settings(slurp($file));
	for (sort keys %set) {
		print "#define CONFIG_$_ ", ($set{$_} eq 'y' ? 1 : $set{$_}), "\n" if $set{$_} ne 'n';
	}
	exit 0;
}

for (slurp('Kconfig')) {
	if (/^config (\w+)/) {
		$name = $1;
		push @order, $name;
		$symbols{$name} = { default => 'n', depends => [], select => [] };
	}
	next unless defined $name;
	$symbols{$name}{default} = $1 if /^\s+default (\S+)/;
	push @{$symbols{$name}{depends}}, split(/\s*&&\s*/, $1) if /^\s+depends on (.*\S)/;
	push @{$symbols{$name}{select}}, $1 if /^\s+select (\w+)/;
}

my %given = $what eq 'allnoconfig' || $what eq 'tinyconfig' ? () : settings(slurp($file));
%given = () if $what =~ /^(all|def)/;
my %wanted = (%given, settings(defined $more && $more ne '1' ? slurp($more) : ()));
my %value;
for (@order) {
	my $default = $what eq 'allyesconfig' || $what eq 'allmodconfig' ? 'y' : $symbols{$_}{default};
	$default = 'n' if $what eq 'allnoconfig' || $what eq 'tinyconfig';
	$value{$_} = exists $wanted{$_} ? $wanted{$_} : $default;
}
# A symbol whose dependency is missing is dropped, one that is selected is set; until nothing changes.
for my $again (@order) {
	for my $symbol (@order) {
		$value{$symbol} = 'n' if grep { /^!(\w+)/ ? $value{$1} eq 'y' : ($value{$_} // 'n') eq 'n' }
			@{$symbols{$symbol}{depends}};
		next if $value{$symbol} eq 'n';
		$value{$_} = 'y' for @{$symbols{$symbol}{select}};
	}
}
open(my $out, '>', $file) or die "$file: $!\n";
print $out "#\n# Automatically generated file; DO NOT EDIT.\n#\n";
for (@order) {
	print $out $value{$_} eq 'n' ? "# CONFIG_$_ is not set\n" : "CONFIG_$_=$value{$_}\n";
}
close($out) or die "$file: $!\n";
