#!/usr/bin/env bash
# Make .venv with patchbot and what its tests need, and install what this machine lacks (Debian packages).
# It can run again at any time and does only what is missing. Nothing outside of .venv is changed but by apt-get.
# Checks that are not run unless asked for are named: ./setup.sh boot
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*" >&2; }

# Install Debian packages, as root or with sudo; fail with the command to run where that cannot be.
install() {
	local root=()
	if [ "$(id -u)" != 0 ]; then
		if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
			root=(sudo)
		else
			say "missing: $*; install them as root: apt-get install $*"
			return 1
		fi
	fi
	if ! command -v apt-get >/dev/null; then
		say "missing: $* (Debian's names); this machine has no apt-get, please install them"
		return 1
	fi
	say "installing $*"
	local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
	[ -n "${updated-}" ] || "${apt[@]}" update >&2 || say "apt-get update failed, trying with what it knows"
	updated=yes
	"${apt[@]}" install -y --no-install-recommends "$@" >&2 </dev/null
}

# Print a Python from 3.11 on that can make virtual environments.
python() {
	local candidate
	for candidate in python3.11 python3.12 python3.13 python3.14 python3 /usr/bin/python3.11 /usr/bin/python3; do
		if "$candidate" -c 'import sys, ensurepip, lzma, sqlite3, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			command -v "$candidate"
			return
		fi
	done
	return 1
}

# What setup, `make check` and its tests use; the rest is what patchbot's checks say themselves, below.
missing=()
for tool in git make gcc perl; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
[ ${#missing[@]} = 0 ] || install "${missing[@]}"
stamp="$PWD $(cksum <pyproject.toml) $(cksum <patchbot/__init__.py)"
if [ "$(cat .venv/setup-stamp 2>/dev/null)" != "$stamp" ] || ! .venv/bin/python -c 'import patchbot' 2>/dev/null; then
	if ! chosen=$(python); then
		install python3 python3-venv
		chosen=$(python) || { say "no Python from 3.11 on with venv, lzma and sqlite3"; exit 1; }
	fi
	say "making .venv with $chosen"
	# An environment that was moved or whose Python is gone cannot be mended.
	.venv/bin/pip --version >/dev/null 2>&1 || rm -rf .venv
	[ -d .venv ] || "$chosen" -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 10 -e '.[dev]' </dev/null
	# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each run would compile it all again: half a second.
	.venv/bin/python -m compileall -q patchbot
	printf '%s\n' "$stamp" >.venv/setup-stamp
fi

lacking=$(.venv/bin/patchbot doctor --json | .venv/bin/python -c '
import json, sys
found = json.load(sys.stdin)
asked = {t["package"].split(" or ")[0] for t in found["tools"] if not t["found"] and {*sys.argv[1:]} & {*t["used_by"]}}
print(*sorted({*found["missing"], *asked}))' "$@")
if [ -n "$lacking" ]; then
	# shellcheck disable=SC2086
	install $lacking || say "patchbot works without, but checks that need them are skipped"
fi
# Some rows of kfunc sets exist on s390 only; with its compiler each row is compiled by some build.
command -v s390x-linux-gnu-gcc >/dev/null || install gcc-s390x-linux-gnu ||
	say "patchbot works without, but lists the rows that only s390 has as not compiled"
# Without it a kernel's own scripts run with the network and the home of whoever runs patchbot.
command -v bwrap >/dev/null || install bubblewrap ||
	say "patchbot works without, but runs a tree's scripts without a sandbox"
say "ready: .venv/bin/patchbot"
