# make run     the main job; K=... selects scenarios as pytest -k does
# make test    everything that proves the project, linters and types included
# Both build on `make setup`, which installs what is needed and builds the machine image.

K ?= rootless_pasta
N ?= auto
MAILSERVER ?= auto
VENV := .venv/bin

.PHONY: run test setup venv lint unit integration deployments bench clean

run: setup
	$(VENV)/pytest -k '$(K)' -n $(N) --mailserver '$(MAILSERVER)'

test: setup lint
	$(VENV)/pytest tests -n $(N) --mailserver '$(MAILSERVER)'

setup: venv
	$(VENV)/dms-harness setup --mailserver '$(MAILSERVER)'

venv:
	sh harness/setup.sh

lint:
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy

bench: setup
	$(VENV)/python tests/benchmarks/bench.py

clean:
	$(VENV)/dms-harness clean
