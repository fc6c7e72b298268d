# Everything runs from a fresh clone: a target that needs the virtual environment makes it first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# `make venv TORCH=cpu`: PyTorch's own index, whose wheels for CPUs bring no CUDA libraries (gigabytes, on Linux).
TORCH =
ifneq ($(filter-out cpu,$(TORCH)),)
    $(error TORCH must be cpu or left out, got $(TORCH))
endif
TORCH_INDEX = $(if $(TORCH),--extra-index-url https://download.pytorch.org/whl/cpu)

# A file benchmark/suites/NAME.yaml is all that a new suite needs: it gets a target and a line of the help.
SUITES := $(sort $(basename $(notdir $(wildcard benchmark/suites/*.yaml))))
SUITES := $(filter quick,$(SUITES)) $(filter-out quick,$(SUITES))

# Set on the command line (`make smnist BUDGET=smoke WORKERS=2`); an empty one leaves the choice to rnnbench.
BUDGET = cpu
DATA_DIR =
INSTANCES =
ONLY =
WORKERS =
DEVICES =
WANDB = off
RUNS_DIR = runs
SPEED_DIR = $(RUNS_DIR)/speed
TIME_LIMIT =

RUN_FLAGS_OF = --budget $1 \
	$(if $(ONLY),--only $(foreach name,$(ONLY),'$(name)')) \
	$(if $(INSTANCES),--instances $(INSTANCES)) \
	$(if $(DATA_DIR),--data-dir '$(DATA_DIR)') \
	$(if $(WORKERS),--workers $(WORKERS)) \
	$(if $(DEVICES),--devices $(DEVICES)) \
	$(if $(TIME_LIMIT),--time-limit $(TIME_LIMIT)) \
	--wandb $(WANDB) --runs-dir '$(RUNS_DIR)'

RUN_FLAGS = $(call RUN_FLAGS_OF,$(BUDGET))

# One thread a process: two threads on one run give 1.2 times its speed, two runs side by side twice.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

# `make oldest` writes another, of the oldest versions that pyproject.toml allows: `make venv CONSTRAINTS=oldest.txt`.
CONSTRAINTS = constraints.txt

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Main
.PHONY: benchmark
benchmark: $(STAMP) ## Run the quick suite, print its scores and write its leaderboard
	$(BIN)/rnnbench run quick $(strip $(RUN_FLAGS))
	$(BIN)/rnnbench leaderboard --records-dir '$(RUNS_DIR)' --output '$(RUNS_DIR)/LEADERBOARD.md'
	@echo "The whole leaderboard, with figures, is in $(RUNS_DIR)/LEADERBOARD.md"

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' \
	    '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	     /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nSuites\n'
	@for suite in $(SUITES); do \
	    printf '  %-16s %s\n' "$$suite" "$$(sed -n 's/^title: *//p' benchmark/suites/$$suite.yaml)"; done
	@printf '\nVariables of benchmark and of the suites\n'
	@printf '  %-16s %s\n' \
	    'BUDGET=cpu' 'smoke (a minute), cpu (minutes to some hours on two cores), paper (as published)' \
	    'ONLY=' 'names of experiments of the suite; all of them without it' \
	    'INSTANCES=' 'which instances, for example 0-4; as the suite says without it' \
	    'DATA_DIR=' 'folder of Parquet files for the image sets; the Hugging Face Hub without it' \
	    'WORKERS=' 'runs side by side; one per core or per GPU without it' \
	    'TIME_LIMIT=' '90s, 30m, 2h or 1h30m, after which a command ends in order and may be given again' \
	    'DEVICES=' 'devices that share the batches of each run' \
	    'WANDB=off' 'online, offline or off' \
	    'RUNS_DIR=runs' 'where records and checkpoints of runs are written'

##@ Papers
# A suite belongs to the paper that its source names, except those that are parts of a larger one.
PARTS := adding copy polynomial psmnist scifar10 smnist
of_paper = $(filter-out $(PARTS),$(basename $(notdir $(sort \
	$(shell grep -lE '^source: .?$1' benchmark/suites/*.yaml)))))
DEPTH := $(call of_paper,Lizaire)
WCRNN := $(call of_paper,Dubinin)
STABLE := $(call of_paper,Miller)
DEEP := $(call of_paper,Pascanu)

# Claims are about records of the published length where this is short, and of budget cpu elsewhere.
IN_FULL := $(filter-out depth-shakespeare,$(DEPTH))
run_all = $(if $1,$(BIN)/rnnbench run $1 $(strip $(call RUN_FLAGS_OF,$2)) || end $$?;)
paper_runs = $(call run_all,$(filter $(IN_FULL),$1),paper)$(call run_all,$(filter-out $(IN_FULL),$1),cpu)
# Nothing of what is committed is touched: `make publish` does that.
paper_results = $(BIN)/rnnbench leaderboard --records-dir '$(RUNS_DIR)' --output '$(RUNS_DIR)/LEADERBOARD.md'; \
	$(BIN)/rnnbench claims --records-dir '$(RUNS_DIR)' $(if $1,--paper $1)
# Exit code 3, something is left, still gives its turn to what follows.
paper = code=0; end() { code=$$1; [ $$code = 3 ] || exit $$code; }; \
	$(call paper_runs,$1) \
	$(call paper_results,$2); exit $$code

.PHONY: papers-depth
papers-depth: $(STAMP) ## Run what is missing of the depth paper's suites, then print table and claims of RUNS_DIR
	@$(call paper,$(DEPTH),lizaire2026 lizaire2024)

.PHONY: papers-wcrnn
papers-wcrnn: $(STAMP) ## The same of the paper on weakly coupled residual networks
	@$(call paper,$(WCRNN),dubinin2024)

.PHONY: papers-stable
papers-stable: $(STAMP) ## The same of the paper on stable recurrent models
	@$(call paper,$(STABLE),miller2019)

.PHONY: papers-deep
papers-deep: $(STAMP) ## The same of the paper on deep transitions
	@$(call paper,$(DEEP),pascanu2014)

.PHONY: evidence
evidence: $(STAMP) ## The same of all papers
	@$(call paper,$(DEPTH) $(DEEP) $(STABLE) $(WCRNN))

##@ Results
.PHONY: list
list: $(STAMP) ## List the tasks, recurrences, measures and suites
	@$(BIN)/rnnbench list

.PHONY: status
status: $(STAMP) ## Show what of all suites is in RUNS_DIR, and the hours that are left
	@$(BIN)/rnnbench status --all --runs-dir '$(RUNS_DIR)'

.PHONY: publish
publish: $(STAMP) ## Copy finished records from RUNS_DIR to leaderboard/records, to be committed
	$(BIN)/rnnbench publish --runs-dir '$(RUNS_DIR)'

.PHONY: leaderboard
leaderboard: $(STAMP) ## Rewrite leaderboard/LEADERBOARD.md from the committed records
	$(BIN)/rnnbench leaderboard

.PHONY: page
page: $(STAMP) ## Write leaderboard/page.html, one file to explore the committed records in
	$(BIN)/rnnbench page

.PHONY: claims
claims: $(STAMP) ## Decide the papers' statements from the committed records, without training
	$(BIN)/rnnbench claims

.PHONY: speed
speed: $(STAMP) ## Time ways to do the same work side by side, into SPEED_DIR (half an hour, on a machine left alone)
	$(BIN)/rnnbench speed all --output '$(SPEED_DIR)'

.PHONY: speed-gpu
speed-gpu: $(STAMP) ## Time the Triton kernels beside cuDNN, CUDA graphs and torch.compile, on a GPU (8 minutes)
	$(BIN)/rnnbench speed gpu

.PHONY: kernels
kernels: $(STAMP) ## Compile the Triton kernels and print their registers and spills (no GPU needed)
	$(BIN)/python tests/lit_models/scan/compile_kernels.py

##@ Development
.PHONY: venv
venv: $(STAMP) ## Make or update the virtual environment in .venv (TORCH=cpu: without the gigabytes of CUDA)

$(STAMP): pyproject.toml constraints.txt setup.py $(wildcard lit_models/scan/native/*.[ch])
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing rnnbench and what it needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_INDEX) -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

.PHONY: lint
lint: $(STAMP) ## Check the code with ruff and mypy
	$(BIN)/ruff check .
	@mkdir -p build/typing && rm -rf build/typing/rnnbench && cp -R rnnbench build/typing/ \
	    && ln -s $(foreach room,benchmark datamodules leaderboard lit_models,'$(CURDIR)/$(room)') build/typing/rnnbench/
	$(BIN)/mypy

.PHONY: docs
docs: $(STAMP) ## Build documentation and results page into build/docs, with the links between pages checked
	$(BIN)/sphinx-build -W --keep-going -q -E -d build/doctrees docs build/docs
	$(BIN)/rnnbench page --output build/docs/results.html

.PHONY: docs-links
docs-links: $(STAMP) ## Check the links of the documentation to other sites
	$(BIN)/sphinx-build -q -E -b linkcheck docs build/links

.PHONY: oldest
oldest: ## Write oldest.txt, the oldest versions with wheels that pyproject.toml allows (needs uv: pip cannot look for them)
	uv pip compile --quiet --resolution lowest-direct --only-binary :all: -o oldest.txt pyproject.toml

# Data for tests: DATA_DIR if given, otherwise what the environment says.
TEST_DATA = $(if $(DATA_DIR),RNNBENCH_DATA='$(DATA_DIR)')
PYTEST = $(TEST_DATA) $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

.PHONY: test
test: $(STAMP) ## Run the tests and doctests
	@# Else each of a hundred processes compiles what it imports, where Python may write no bytecode.
	@$(BIN)/python -m compileall -q rnnbench benchmark datamodules lit_models leaderboard
	$(PYTEST)

.PHONY: test-slow
test-slow: $(STAMP) ## Run the tests that take minutes
	$(PYTEST) -m slow

.PHONY: test-slurm
test-slurm: $(STAMP) ## Run the tests on a real SLURM of this machine (as root: installs slurm-wlm and munge by apt-get)
	@command -v slurmctld munged > /dev/null \
	    || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge \
	    || echo 'SLURM cannot be installed here: its tests are skipped'
	$(BIN)/python -m pytest -q -n 0 -m slurm tests/slurm

.PHONY: test-ray
test-ray: $(STAMP) ## Run the tests on a Ray cluster of two nodes of this machine (installs Ray)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[ray]'
	$(BIN)/python -m pytest -q -n 0 -m slow tests/ray

.PHONY: test-data
test-data: $(STAMP) ## Run the tests on real data, from DATA_DIR or RNNBENCH_DATA
	@test -n "$(DATA_DIR)$${RNNBENCH_DATA:-}" || { echo 'Say where the data are: make test-data DATA_DIR=...' >&2; exit 2; }
	$(PYTEST) -m needs_data

.PHONY: clean
clean: ## Remove the virtual environment and all caches; runs and records stay
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f lit_models/scan/native/*.so lit_models/scan/native/*.pyd
	find rnnbench benchmark datamodules lit_models leaderboard tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: $(SUITES)
$(SUITES): $(STAMP)
	$(BIN)/rnnbench run $@ $(strip $(RUN_FLAGS))
