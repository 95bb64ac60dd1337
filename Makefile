# Every gate of patchbot. `make check` is what a change must pass; it stops at the first failure.

BIN := .venv/bin
SOURCES := patchbot checks tests man.py
KERNELS ?= newest 7.2 6.12

# Debian packages of `make posting`.
POSTING := public-inbox libplack-perl libdbd-sqlite3-perl libsearch-xapian-perl liburi-perl libmailtools-perl git-email

.PHONY: check format kernels acceptance bench mutants sites-mutants line-mutants kills pahole send-email posting b4 page man hosts

check: $(BIN)/patchbot
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto -m "not kernel and not slow"

# Put the sources into the form that `check` wants.
format: $(BIN)/patchbot
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Fetch real kernels for the tests: the newest, and two that differ from it where it matters.
kernels: $(BIN)/patchbot
	$(BIN)/python tests/fetch_kernels.py $(KERNELS)

# Everything on real kernels; compiles for about half an hour on two cores.
acceptance: kernels
	PATCHBOT_NEED_KERNEL=1 $(BIN)/pytest -q -m "kernel or slow"

# One mutant of each kfunc set of a generated series, judged with BTF and without; KERNEL is a repository with a draft.
mutants: $(BIN)/patchbot
	$(BIN)/python tests/mutants.py --kernel $(KERNEL) --seed $(or $(SEED),1)

# 200 real trees in which rows are hidden in every way that C has: the inventory must see or refuse what `gcc -E` sees.
sites-mutants: $(BIN)/patchbot
	$(BIN)/python tests/site_mutants.py --kernel $(KERNEL) --seed $(or $(SEED),1)

# A hundred changed lines, each damaged: what `check --only compiled`, run before, calls compiled must fail, the rest not.
line-mutants: $(BIN)/patchbot
	$(BIN)/python tests/line_mutants.py --kernel $(KERNEL) --seed $(or $(SEED),1) $(if $(CAMPAIGN),--campaign $(CAMPAIGN))

# Kill a thousand runs at any moment, then run eight at a time; half an hour on one core.
kills: $(BIN)/patchbot
	$(BIN)/python tests/kills.py --kills $(or $(KILLS),1000) $(if $(SEED),--seed $(SEED))
	$(BIN)/python tests/kills.py --crowd 50 $(if $(SEED),--seed $(SEED))

# Checks on three hosts in network namespaces, of which each breaks in its own way; needs root, half an hour on one core.
hosts: $(BIN)/patchbot
	$(BIN)/python tests/bench/hosts.py $(if $(CASE),--case $(CASE)) $(if $(SEED),--seed $(SEED))

# A pahole that Linux 7.0 to 7.2 can use, below .venv/; it says what to write into patchbot.toml.
pahole: $(BIN)/patchbot
	@$(BIN)/python tests/fetch_pahole.py .venv/pahole

# The line that `mail` prints, run by the git send-email of the machine's Debian suite, which is unpacked below .venv/.
send-email: $(BIN)/patchbot
	rm -rf .venv/git-email && mkdir .venv/git-email
	cd .venv/git-email && apt-get -q download git-email libmailtools-perl && for deb in *.deb; do dpkg-deb -x $$deb .; done
	PERL5LIB=$(CURDIR)/.venv/git-email/usr/share/perl5 \
	PATCHBOT_SEND_EMAIL=$(CURDIR)/.venv/git-email/usr/lib/git-core/git-send-email $(BIN)/pytest -q tests/mail/test_sending.py

# What `mail --b4` leaves, in the hands of b4 itself: the newest, and one that rewrites commits with git-filter-repo.
b4: $(BIN)/patchbot
	for b4 in b4 b4==0.13.0; do python3 -m venv .venv/b4/$$b4 && .venv/b4/$$b4/bin/pip -q install $$b4 || exit; done
	$(BIN)/pytest -q tests/commands/test_b4_itself.py

# Series on their way to a maintainer, with the programs that people use, on loopback: git send-email, public-inbox, b4.
# PATCHBOT_NIPA names a checkout of NIPA whose tests judge them, PATCHBOT_POSTING_DRAFT a kernel with a draft of kfunc_flags.
posting: $(BIN)/patchbot
	rm -rf .venv/posting && mkdir -p .venv/posting/debs
	cd .venv/posting/debs && apt-get -q download $$(apt-get -s --no-install-recommends install $(POSTING) | \
		awk '/^Inst/ && $$2 !~ /^(lib)?perl[5-]|^perl/ {print $$2}') && for deb in *.deb; do dpkg-deb -x $$deb ../root; done
	python3 -m venv .venv/posting/venv && .venv/posting/venv/bin/pip -q install 'b4>=0.14,<1' 'aiosmtpd>=1.4,<2'
	PATCHBOT_POSTING=$(CURDIR)/.venv/posting $(BIN)/pytest -q tests/mail/test_posting.py

# The HTML page in Chromium (Debian: chromium, chromium-driver).
page: $(BIN)/patchbot
	$(BIN)/pip -q install 'selenium>=4.20,<5'
	$(BIN)/pytest -q tests/checking/test_page_in_a_browser.py

# The manual page, to look at: man -l patchbot.1; a wheel makes its own.
man: $(BIN)/patchbot
	$(BIN)/python man.py patchbot.1

bench: $(BIN)/patchbot
	$(BIN)/python tests/bench/bench.py

$(BIN)/patchbot:
	./setup.sh
