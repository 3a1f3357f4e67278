# Everything starts here: `make run` opens the panel, `make test` runs the tests.
# Each target first makes .venv (once) and says what it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# A CPU build of torch is taken where pip's own setting offers one; empty on an ordinary machine.
export UV_FIND_LINKS ?= $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
export UV_PYTHON_DOWNLOADS := never
export PYTHONSAFEPATH := 1

# The gpu extra does not even import without a card, so it is installed only beside a working driver.
HAS_GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
comma := ,
EXTRAS := $(if $(HAS_GPU),gpu,train)$(comma)api$(comma)test

.PHONY: help run demo test setup bench docs docs-gpu pictures check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(STAMP) ## set up, then open the panel
	@exec $(BIN)/fada

demo: $(STAMP) ## set up, then evaluate, fine-tune and evaluate a tiny model on synthetic ultrasound
	@exec $(BIN)/fada demo

test: $(STAMP) ## set up, then run every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

setup: $(STAMP) ## make .venv with everything that runs on this machine

bench: $(STAMP) ## measure speed and memory: one JSON line a figure
	@broken=; for f in tests/benchmarks/bench_*.py; do PYTHONPATH=tests/benchmarks $(BIN)/python $$f || broken="$$broken $$f"; done; \
	  test -z "$$broken" || { echo "broke off:$$broken" >&2; exit 1; }

docs: $(STAMP) ## write docs/models.md from what the conformance tests see (some minutes)
	@$(BIN)/python -P -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("bitsandbytes") is None)' || \
	  { echo "its 8-bit and 4-bit cells need bitsandbytes: install the extra 'quantised' first"; exit 1; }
	@rm -rf .seen && mkdir .seen
	FADA_CONFORMANCE=$(CURDIR)/.seen $(BIN)/python -m pytest -n 2 --dist loadgroup tests/backends/models/conformance \
	  tests/backends/models/test_open_clip.py tests/backends/work/test_in_environment.py
	@$(BIN)/python -P tests/backends/models/conformance/table.py .seen docs/models.md && rm -rf .seen

docs-gpu: $(STAMP) ## write docs/gpu.md from what the tests see on an NVIDIA card
	@rm -rf .seen && mkdir .seen
	FADA_GPU_SEEN=$(CURDIR)/.seen $(BIN)/python -m pytest tests/gpu
	@$(BIN)/python -P tests/gpu/table.py docs/gpu.md .seen && rm -rf .seen

pictures: $(STAMP) ## take the README's pictures anew, from a real run of the demo
	@$(BIN)/python -P docs/take_pictures.py

check: $(STAMP) ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove .venv and caches (never your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv $(VENV) || { echo "venv failed; on Debian/Ubuntu: sudo apt install python3-venv" >&2; exit 1; }; }
	@echo "Installing fada-tui[$(EXTRAS)] into $(VENV) (about half a minute, longer where torch must be downloaded)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $(STAMP)
