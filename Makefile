# Two commands matter: `make demo` and `make test`. Everything else is a part of them.
PYTHON ?= python3
PORT ?= 8050
WORKSPACE ?= workspace
MODEL ?= minilm
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo serve install test check bench bench-stores bench-server bench-training compat screenshots browser services clean

demo: install ## build the demo workspace and serve it at once
	$(BIN)/loupe demo --workspace $(WORKSPACE) --port $(PORT) --model $(MODEL)

serve: install
	$(BIN)/loupe serve $(WORKSPACE) --port $(PORT)

install: $(VENV)/installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Loupe needs Python 3.11 or newer; '$(PYTHON)' is older. Set PYTHON=/path/to/python3.11."; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's 'venv' module is missing. Install it (Debian, Ubuntu: apt-get install python3-venv) and run make again."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing pinned dependencies into $(VENV) (a few minutes the first time) ..."
	$(INSTALL) -e '.[train]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) -e '.[train,dev]'
	@touch $@

browser: ## Chromium for the browser tests, where the package manager may install it
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { SUDO=; [ "$$(id -u)" = 0 ] || SUDO='sudo -n'; \
	     $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null; } \
	|| echo "Chromium could not be installed here: the browser tests will say what to install."

services: ## PostgreSQL and Redis for the tests, where the package manager may install them; none is started as a system service
	@{ command -v redis-server && { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres; }; } >/dev/null 2>&1 \
	|| { SUDO=; [ "$$(id -u)" = 0 ] || SUDO='sudo -n'; POLICY=/usr/sbin/policy-rc.d; MADE=; \
	     [ -e $$POLICY ] || { printf '#!/bin/sh\nexit 101\n' | $$SUDO tee $$POLICY >/dev/null && $$SUDO chmod +x $$POLICY && MADE=yes; }; \
	     $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql redis-server >/dev/null; \
	     STATUS=$$?; [ -z "$$MADE" ] || $$SUDO rm -f $$POLICY; [ $$STATUS = 0 ]; } \
	|| echo "PostgreSQL and Redis could not be installed here: the tests that need them will say what to install."

test: $(VENV)/installed-dev browser services
	$(BIN)/python -m pytest

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev browser ## every measured figure, into benchmarks/results
	$(BIN)/python -m benchmarks.run

bench-stores: $(VENV)/installed-dev .venv-peers/installed ## stores and loaders, beside SAEDashboard: about 12 minutes
	$(BIN)/python -m benchmarks.stores

bench-server: $(VENV)/installed-dev browser services ## 50 people clicking, writers through kills of workers and PostgreSQL, restarts under load: 5 quiet minutes
	$(BIN)/python -m benchmarks.server --workspace $(WORKSPACE)

.venv-peers/installed: ## SAEDashboard in an environment of its own, as it wants older packages
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 sae-lens==6.54.12 sae-dashboard==0.8.0 'pyarrow<23'
	.venv-peers/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

.venv-sparsify/installed: ## EleutherAI's sparsify, in an environment of its own
	$(PYTHON) -m venv .venv-sparsify
	.venv-sparsify/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-sparsify/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 eai-sparsify==1.3.3
	@touch $@

.venv-dictionary-learning/installed: ## dictionary_learning, in an environment of its own
	$(PYTHON) -m venv .venv-dictionary-learning
	.venv-dictionary-learning/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-dictionary-learning/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 dictionary-learning==0.1.0
	.venv-dictionary-learning/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

.venv-neuronpedia/installed: ## Neuronpedia's own package, which speaks to its server
	$(PYTHON) -m venv .venv-neuronpedia
	.venv-neuronpedia/bin/python -m pip install --quiet --disable-pip-version-check neuronpedia==1.2.1
	@touch $@

PEERS := .venv-peers/installed .venv-sparsify/installed .venv-dictionary-learning/installed

compat: $(VENV)/installed-dev $(PEERS) .venv-neuronpedia/installed ## the same values as SAELens's, sparsify's, dictionary_learning's and neuronpedia's own code
	$(BIN)/python -m benchmarks.compat
	$(BIN)/python -m benchmarks.add_peers
	$(BIN)/python -m benchmarks.neuronpedia_peer

bench-training: $(VENV)/installed-dev $(PEERS) ## the SAE trainer beside three others: about an hour on a quiet machine
	$(BIN)/python -m benchmarks.training --work .bench-training

screenshots: $(VENV)/installed-dev browser ## the README's pictures, from the demo workspace
	$(BIN)/python -m benchmarks.screenshots --workspace $(WORKSPACE)

clean:
	rm -rf $(VENV) .venv-peers .venv-sparsify .venv-dictionary-learning .venv-neuronpedia .bench-training *.egg-info .mypy_cache .ruff_cache .import_linter_cache
