# Two commands and nothing to decide: `make reproduce` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
# the workers share the cores: threads of BLAS would only wait for each other
PYTEST = OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -q
# kept (git ignores it), whatever the shell says: else each of the many processes compiles every module again
export PYTHONDONTWRITEBYTECODE =
# of the theorems: make reproduce LEVEL=quick, standard or full
LEVEL = standard
.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-slow test-gpu test-peers lint bench bench-solvers bench-gpu clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | expand -t 12

setup: ## create or update .venv and the compiled core (PYTHON=python3.x chooses the interpreter)
	@$(PYTHON) .ci/bootstrap.py --venv $(VENV)

reproduce: setup ## verify the theorems, run the experiments, draw the figures, write out/report.html
	@rm -f out/report.html out/theory/verdicts.json # no older result can stand in for a step that fails
	@echo "==> theorems (out/theory)"; \
	$(PY) -m theory verify --level $(LEVEL) --json out/theory/verdicts.json --curves out/theory/curves; verified=$$?; \
	echo "==> one-group window on real data (out/experiments)"; \
	$(PY) -m experiments run one_group_window || exit 1; \
	echo "==> the solvers on two groups (out/experiments)"; \
	$(PY) -m experiments run two_groups || exit 1; \
	echo "==> small runs of the experiments on open questions (out/experiments)"; \
	for study in pruning_schedules smart_hypotheses critical_points phase_transition; do \
	  $(PY) -m experiments run $$study || exit 1; \
	done; \
	echo "==> figures and report (out/figures, out/report.html)"; \
	$(PY) -m paper_figures || exit 1; \
	exit $$verified

test: setup ## the fast tests, no GPU and no network
	@echo "==> fast tests"
	@$(PYTEST) -n auto --dist worksteal -m "not slow and not gpu" --junitxml=out/tests/fast.xml
	@echo "wrote out/tests/fast.xml"

test-slow: setup ## the slow tests: all seeds, builds, fresh clones
	@echo "==> slow tests"
	@$(PYTEST) -n auto --dist worksteal -m "slow and not gpu" --junitxml=out/tests/slow.xml
	@echo "wrote out/tests/slow.xml"

test-gpu: ## the compiled kernels and pruning alone; PYTHON has torch, pytest, hypothesis, nanobind, scikit-build-core; no network
	@$(PYTHON) .ci/bootstrap.py --venv .venv-kernels --kernels
	@echo "==> kernel tests"
	@.venv-kernels/bin/python -m pytest -q tests/native tests/kernels tests/pruning -m "not slow" --junitxml=out/tests/gpu.xml
	@echo "wrote out/tests/gpu.xml"

test-peers: setup ## the minima and conventions of other packages, which are installed in .venv-peers
	@$(PY) -c "from experiments.benchmarks.solvers import peers_python; peers_python()"
	@echo "==> peers"
	@$(PYTEST) tests/sparseopt/test_peers.py --junitxml=out/tests/peers.xml
	@echo "wrote out/tests/peers.xml"

lint: setup ## ruff format, ruff check, mypy
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: setup ## compiled block prox, projections, soft top-k, operators and the block-sparse product against torch; prints the bars
	@$(PY) -m experiments.benchmarks.block_prox
	@$(PY) -m experiments.benchmarks.projections
	@$(PY) -m experiments.benchmarks.operators
	@$(PY) -m experiments.benchmarks.pruning_cost
	@$(PY) -m experiments.benchmarks.block_product
	@MALLOC_MMAP_MAX_=0 $(PY) -m experiments.benchmarks.soft_topk

bench-solvers: setup ## the solvers against their peers, which are installed in .venv-peers
	@$(PY) -m experiments.benchmarks.solvers
	@$(PY) -m experiments.benchmarks.solver_cost
	@$(PY) -m experiments.benchmarks.group_omp

bench-gpu: setup ## operators and block-sparse product on a CUDA device; rows in experiments/results/gpu
	@$(PY) -m experiments.benchmarks.gpu
	@$(PY) -m experiments.benchmarks.block_prox --device cuda

clean: ## remove .venv, build and out
	rm -rf .venv .venv-kernels .venv-peers build out dist
	@echo "removed .venv .venv-kernels build out dist"
