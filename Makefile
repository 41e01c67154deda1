# make run     the main job; K=... selects scenarios as pytest -k does, N=... is pytest's -n,
#              MACHINE=vagrant deploys on a virtual machine, and installs what that takes
# make test    everything that proves the project, linters and types included
# make bench    how long things take; make bench-machines, the kinds of machines side by side
# make test-vagrant   what takes too long for each change: more of it on a virtual machine
# All build on `make setup`, which installs what is needed and builds the machine image.

K ?= rootless_pasta
MAILSERVER ?= auto
MACHINE ?= auto
VENV := .venv/bin
PYTEST := $(VENV)/pytest --mailserver='$(MAILSERVER)'
CORES := $(shell nproc)

.PHONY: run test test-vagrant setup venv box lint unit browser deployments integration vagrant vagrant-tools bench bench-machines clean

run: $(if $(filter vagrant,$(MACHINE)),vagrant-tools,setup)
	$(PYTEST) --machine '$(MACHINE)' -k '$(K)' $(if $(N),-n $(N))

# One after the other: each keeps all cores busy by itself.
test: lint unit browser deployments integration vagrant

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
