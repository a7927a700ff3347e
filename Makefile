# GNU make 3.81 or later, Python 3.11 or later. `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-core docs lint format bench soak fuzz model clean

VENV := .venv
RUN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
INSTALL = @test -n "$(PYTHON)" || { echo "osteon needs Python 3.11 or later, and none was found. Give one: make PYTHON=/path/to/python3" >&2; exit 1; }; $(PYTHON) scripts/install.py

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/lab.stamp  ## synthetic films -> index -> training -> model file -> evaluation -> demo/report.html, in minutes
	$(RUN)/osteon demo

test: lint  ## ruff, mypy, then every test but the long ones, on all processors; with LONG=1 the long ones in the same run
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n auto --dist loadfile --durations 25 $(if $(LONG),-m "long or not long")

test-long: $(VENV)/dev.stamp  ## the tests that take minutes
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -m long -n auto --dist loadfile

test-core: $(VENV)/lab.stamp  ## the core in an environment of its own: prediction without torch
	$(INSTALL) .venv-core
	$(RUN)/python scripts/check_core.py .venv-core

docs: $(VENV)/dev.stamp  ## the site -> site/index.html, strict; the reference is made of the code. With search: python -m http.server --directory site
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --quiet

lint: $(VENV)/dev.stamp  ## ruff and mypy, nothing changed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: $(VENV)/dev.stamp  ## ruff's fixes and formatting, written
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: $(VENV)/dev.stamp .venv-bench/peers.stamp  ## osteon against its peers, in turn -> docs/performance.md; let nothing else run
	$(RUN)/python benchmarks/run.py -o bench-out/report.json
	$(RUN)/python benchmarks/page.py bench-out/report.json

soak: $(VENV)/dev.stamp  ## long runs: flat memory, same bits, broken films, very many films, killed runs -> bench-out/soak.json, for the next bench
	$(RUN)/python benchmarks/soak.py -o bench-out/soak.json
	$(RUN)/python benchmarks/kills.py

# Inputs for each of the readers, the most seconds for each (FUZZ_SECONDS=150 is ten minutes for all four), how many run
# side by side, and a seed, 0 for another one each time.
FUZZ_RUNS ?= 200000
FUZZ_SECONDS ?= 0
FUZZ_JOBS ?= 1
FUZZ_SEED ?= 0
fuzz: $(VENV)/dev.stamp  ## the readers of films, manifests, cards and model files on mutated input (Linux): a crash, 10 s or 2 GB end it
	$(INSTALL) $(VENV) lab,dev,fuzz
	mkdir -p bench-out/fuzz/{films,manifest,card,model}
	printf '%s\n' films manifest card model | xargs -P $(FUZZ_JOBS) -I KIND $(RUN)/python fuzz/readers.py KIND bench-out/fuzz/KIND fuzz/corpus/KIND \
		-runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS) -seed=$(FUZZ_SEED) -timeout=10 -rss_limit_mb=2048 \
		-max_len=20000

model: $(VENV)/lab.stamp  ## a model that was released earlier, out of the history -> the user's folder of models: make model NAME=fracture@0.1.0
	$(RUN)/python scripts/earlier_model.py $(NAME)

clean:  ## removes environments, caches and the demo
	rm -rf .venv .venv-core .venv-bench bench-out demo dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks scripts fuzz -name __pycache__ -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml once its extras are installed; `dev.stamp` holds all that `lab.stamp` does.
$(VENV)/lab.stamp: pyproject.toml scripts/install.py
	$(INSTALL) $(VENV) lab
	@touch $@

$(VENV)/dev.stamp: pyproject.toml scripts/install.py
	$(INSTALL) $(VENV) lab,serve,dev,docs
	@touch $@ $(VENV)/lab.stamp

# The peers' packages stand apart: osteon is not installed beside them.
.venv-bench/peers.stamp: benchmarks/requirements.txt scripts/install.py
	$(INSTALL) .venv-bench benchmarks/requirements.txt
	@touch $@
