#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
# What is needed of Kconfig: config, bool, def_bool, default, depends on, select, source; the *config targets; auto.conf and autoconf.h.
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

if ($what eq 'header' || $what eq 'auto') {
	my %set = settings(slurp($file));
	for (sort grep { $set{$_} ne 'n' } keys %set) {
		print $what eq 'auto' ? "CONFIG_$_=$set{$_}\n" : "#define CONFIG_$_ " . ($set{$_} =~ s/^y$/1/r) . "\n";
	}
	exit 0;
}

sub lines {
	my ($path) = @_;
	my $arch = $ENV{SRCARCH} // 'x86';
	return map { /^source "(.*)"/ ? lines($1 =~ s/\$\(SRCARCH\)/$arch/r) : $_ } slurp($path);
}

for (lines('Kconfig')) {
	if (/^config (\w+)/) {
		$name = $1;
		push @order, $name;
		$symbols{$name} = { default => 'n', depends => [], select => [] };
	}
	next unless defined $name;
	$symbols{$name}{default} = $1 if /^\s+default (\S+)/;
	$symbols{$name}{always} = $1 if /^\s+def_bool (\S+)/;
	push @{$symbols{$name}{depends}}, split(/\s*&&\s*/, $1) if /^\s+depends on (.*\S)/;
	push @{$symbols{$name}{select}}, $1 if /^\s+select (\w+)/;
}

my $none = $what eq 'allnoconfig' || $what eq 'tinyconfig';
my %wanted = $what =~ /^(all|def|tiny)/ ? () : settings(slurp($file));
%wanted = (%wanted, settings(slurp($more))) if defined $more;
my %value;
for (@order) {
	my $default = $none ? 'n' : $what =~ /^all(yes|mod)/ ? 'y' : $symbols{$_}{default};
	$value{$_} = $symbols{$_}{always} // $wanted{$_} // $default;
}
# What lacks a dependency is dropped and what is selected is set, until nothing changes any more.
for (0 .. @order) {
	for my $symbol (@order) {
		for (@{$symbols{$symbol}{depends}}) {
			my ($not, $other) = /^(!?)(\w+)/;
			$value{$symbol} = 'n' if ($not ? 'n' : 'y') ne ($value{$other} // 'n');
		}
		next if $value{$symbol} eq 'n';
		$value{$_} = 'y' for @{$symbols{$symbol}{select}};
	}
}
open(my $out, '>', $file) or die "$file: $!\n";
print $out "#\n# Automatically generated file; DO NOT EDIT.\n#\n";
print $out $value{$_} eq 'n' ? "# CONFIG_$_ is not set\n" : "CONFIG_$_=$value{$_}\n" for @order;
close($out) or die "$file: $!\n";
