# make run     the main job; K=... selects scenarios as pytest -k does, N=... is pytest's -n
# make test    everything that proves the project, linters and types included
# make bench    how long things take; BENCH='--vagrant --whole' measures more
# make test-vagrant   what takes too long for each change: more of it on a virtual machine
# All build on `make setup`, which installs what is needed and builds the machine image.

K ?= rootless_pasta
MAILSERVER ?= auto
VENV := .venv/bin
PYTEST := $(VENV)/pytest --mailserver '$(MAILSERVER)'
CORES := $(shell nproc)

.PHONY: run test test-vagrant setup venv box lint unit deployments integration vagrant bench clean

run: setup
	$(PYTEST) -k '$(K)' $(if $(N),-n $(N))

# One after the other: each keeps all cores busy by itself.
test: lint unit deployments integration vagrant

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

deployments: setup
	$(PYTEST) tests/deployments -q -n auto
	$(VENV)/dms-harness findings --check scenarios/GUIDE-FINDINGS.md

integration: setup
	$(PYTEST) tests/integration -v

vagrant: box
	$(PYTEST) tests/vagrant/test_each_change.py -v

test-vagrant: box
	$(PYTEST) tests/vagrant -v

box: venv
	sh harness/setup.sh box

bench: setup
	$(VENV)/python tests/benchmarks/bench.py $(BENCH)

clean: venv
	$(VENV)/dms-harness clean
