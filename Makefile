# make run     the main job; K=... selects scenarios as pytest -k does, N=... is pytest's -n,
#              MACHINE=vagrant deploys on a virtual machine, and installs what that takes
# make test    everything that proves the project, linters and types included
# make bench    how long things take; make bench-machines, the kinds of machines side by side
# make generations    a little of everything on the podman before and after Debian 13's
# make test-vagrant   what takes too long for each change: more of it on a virtual machine
# All build on `make setup`, which installs what is needed and builds the machine image.

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

.PHONY: generations run test test-vagrant setup venv box lint unit browser deployments integration vagrant vagrant-tools bench bench-machines clean

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

unit: venv
	$(PYTEST) tests/unit -q -n $(CORES)

browser: venv
	sh harness/setup.sh browser
	$(PYTEST) tests/browser -q

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

integration: setup
	$(PYTEST) tests/integration -v

# Not beside the others: an emulated machine takes a core, and some of them tell faults by time.
vagrant: box
	$(PYTEST) tests/vagrant/test_each_change.py -v

test-vagrant: box
	$(PYTEST) tests/vagrant -v

box: venv
	sh harness/setup.sh box

vagrant-tools: venv
	sh harness/setup.sh vagrant

bench: setup
	$(VENV)/python tests/benchmarks/bench.py

bench-machines: setup box
	$(VENV)/python tests/benchmarks/machines.py

clean: venv
	$(VENV)/dms-harness clean
