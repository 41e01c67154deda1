# make run     the main job; K=... selects scenarios as pytest -k does, N=... is pytest's -n,
#              MACHINE=vagrant deploys on a virtual machine, and installs what that takes
# make test    everything that proves the project, linters and types included
# make bench    how long things take; make bench-machines, the kinds of machines side by side;
#               bench-growth, how time and memory grow with variants and workers (an hour)
# make stability    deploys K (all: K=) again and again for MINUTES, and counts what came of it
# make generations    a little of everything on the podman before and after Debian 13's
# make test-vagrant   what takes too long for each change: more of it on a virtual machine
# All build on `make setup`, which installs what is needed and builds the machine image.
#
# What the workflows in .github run, and anybody can:
# make runner   lets a disposable computer's KVM and user namespaces be used
# make matrix   the cells of a night's run; MATRIX=fedora for those on virtual machines
# make cell     one of them: CELL=... names it, N=... is pytest's -n
# make merged   what several runs have seen, as one report: RUNS='FOLDER...' REPORT=FILE
# make compare  what changed between two nights: BEFORE=... AFTER=...; changes.md is there
#               afterwards where something did
# make actionlint   looks at the workflows with a program that comes from GitHub

K ?= rootless_pasta
MAILSERVER ?= auto
MACHINE ?= auto
VENV := .venv/bin
PYTEST := $(VENV)/pytest --mailserver='$(MAILSERVER)'
CORES := $(shell nproc)
GENERATIONS := debian-12 debian-forky
SHOWS := [rootful_compose-permit_host- or [rootless_slirp4netns-permit_host- \
    or [rootless_podman_compose-permit_container- or [rootless_pasta_quadlet-permit_host- \
    or [rootless_compose-facts-

.PHONY: run test test-vagrant setup venv box lint unit browser deployments integration generations \
    vagrant vagrant-tools bench bench-machines bench-growth stability clean

run: $(if $(filter vagrant,$(MACHINE)),vagrant-tools,setup)
	$(PYTEST) --machine '$(MACHINE)' -k '$(K)' $(if $(N),-n $(N))

# One after the other: each keeps all cores busy by itself.
test: lint unit browser deployments generations integration vagrant

setup: venv
	$(VENV)/dms-harness setup --mailserver '$(MAILSERVER)'

venv:
	sh harness/setup.sh

lint: venv
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/zizmor --offline --quiet --pedantic .github
	$(VENV)/shellcheck --exclude SC1091 .ci/run harness/setup.sh harness/machines/guest/*.sh .github/*.sh \
	    tests/tmt/*.sh

# They wait a fifth of the time: one more than there are cores.
unit: venv
	$(PYTEST) tests/unit -q -n $$(($(CORES) + 1))

browser: venv
	sh harness/setup.sh browser
	$(PYTEST) tests/browser -q -n $(CORES)

deployments: setup
	$(PYTEST) tests/deployments -q -n auto
	$(VENV)/dms-harness findings --check scenarios/GUIDE-FINDINGS.md

# Variants that show what is another thing there: networks, forwarders, launchers. Their record is
# not the latest run, which everything else of a whole run is read from.
generations: setup
	$(VENV)/dms-harness setup --mailserver '$(MAILSERVER)' --distro $(GENERATIONS)
	for distro in $(GENERATIONS); do \
	    $(PYTEST) tests/deployments -q -n auto --distro $$distro --runs runs/generations \
	        -k '$(SHOWS)' || exit 1; \
	done

# At the end it would keep all cores but one waiting.
LONGEST := $(patsubst %,tests/integration/test_%.py,tmt ssh_host keep faults)
integration: setup
	sh harness/setup.sh tmt
	sh harness/setup.sh dnf
	$(PYTEST) $(LONGEST) $(filter-out $(LONGEST),$(wildcard tests/integration/test_*.py)) -v \
	    -n $(CORES) --no-loadscope-reorder

# Not beside the others: an emulated machine takes a core, and some of them tell faults by time.
vagrant: box
	$(PYTEST) tests/vagrant/test_each_change.py -v

test-vagrant: box
	$(PYTEST) tests/vagrant -v

box: venv
	sh harness/setup.sh box

vagrant-tools: venv
	sh harness/setup.sh vagrant

MATRIX ?= embedded
MATRIX_embedded = --machine nspawn --distro debian-12 debian-13 debian-forky --mailserver upstream
MATRIX_fedora = --machine vagrant --mailserver upstream
CELLS ?= --cells 4
CELLS_OF = $(VENV)/dms-harness matrix $(MATRIX_$(MATRIX)) $(CELLS)
RUNS ?= runs/latest
REPORT ?= report.html
CHANGES ?= changes.md

.PHONY: actionlint matrix cell merged compare runner

# Its package fetches the binary from GitHub, which a bare machine with mirrors need not reach.
actionlint: venv
	sh harness/setup.sh actionlint
	PATH="$(abspath $(VENV)):$$PATH" $(VENV)/actionlint

# Only the cells on stdout, in one line: GitHub reads it.
matrix:
	@sh harness/setup.sh >&2
	@$(CELLS_OF) --github

cell: $(if $(filter fedora,$(MATRIX)),vagrant-tools,venv)
	@command=$$($(CELLS_OF) --command '$(CELL)') && echo "$$command" && \
	    $(if $(N),PYTEST_ADDOPTS='-n $(N)') sh -c "$$command"

merged: venv
	@mkdir -p "$$(dirname '$(REPORT)')"
	$(VENV)/dms-harness report $(RUNS) --output '$(REPORT)'

# Status 1 is an answer; 2 is none.
compare: venv
	@rm -f '$(CHANGES)'
	@$(VENV)/dms-harness diff --markdown '$(BEFORE)' '$(AFTER)' >'$(CHANGES).new'; status=$$?; \
	tee -a "$${GITHUB_STEP_SUMMARY:-/dev/null}" <'$(CHANGES).new'; \
	if [ $$status -eq 1 ]; then mv '$(CHANGES).new' '$(CHANGES)'; else rm '$(CHANGES).new'; fi; \
	[ $$status -le 1 ]

# As root. Ubuntu takes capabilities away from user namespaces that no profile of AppArmor's knows,
# and those of rootless containers on embedded machines are such.
runner:
	echo 'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"' \
	    >/etc/udev/rules.d/99-kvm.rules
	udevadm control --reload-rules
	udevadm trigger --name-match=kvm
	! test -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns || \
	    sysctl -w kernel.apparmor_restrict_unprivileged_userns=0

bench: setup
	$(VENV)/python tests/benchmarks/bench.py

bench-machines: setup box
	$(VENV)/python tests/benchmarks/machines.py

bench-growth: setup
	$(VENV)/python tests/benchmarks/growth.py

MINUTES ?= 60

stability: setup
	$(VENV)/python tests/benchmarks/stability.py --minutes $(MINUTES) -k '$(K)' $(if $(N),-n $(N))

clean: venv
	$(VENV)/dms-harness clean
