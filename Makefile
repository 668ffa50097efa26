# Every target installs what it needs into .venv, once, and again when the two files below change.

PYTHON ?= python3
PORT ?= 8866
BIN := .venv/bin
TEST_RUNS := $(CURDIR)/runs/test
SIMULATED := env -u QOE_DATA QOE_RUNS="$(TEST_RUNS)" QOE_FIGURES="$(TEST_RUNS)/figures"
# Without progress bars, which no stored notebook has
PYTEST_NOTEBOOKS := $(SIMULATED) TQDM_DISABLE=1 $(BIN)/python -m pytest --nbval-current-env notebooks
STRIP := $(BIN)/nbstripout --drop-output-type stream:stderr --keep-output --keep-count --keep-id \
	--extra-keys metadata.widgets

.DEFAULT_GOAL := help
.PHONY: help results test check notebooks strict store browser lab explore bench profile clean \
	unit-tests simulated-chapter
.NOTPARALLEL:

unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
COMPUTING := results test notebooks strict store browser explore bench profile
# Small models are slower on many threads, and several run at once
$(COMPUTING): export OMP_NUM_THREADS = 1
$(COMPUTING): export MKL_NUM_THREADS = 1
# The C library keeps what a training step frees for the next one: up to a tenth faster
$(COMPUTING): export MALLOC_MMAP_THRESHOLD_ = 33554432
$(COMPUTING): export MALLOC_TRIM_THRESHOLD_ = 2147483647
# A thousand small tables are read into one in half the time
results: export ARROW_DEFAULT_MEMORY_POOL = system

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11, 5) <= sys.version_info[:3] < (3, 13) else \
		"$(PYTHON) is Python %d.%d.%d, expected 3.11.5 to 3.12; " % sys.version_info[:3] + \
		"name another one: make PYTHON=python3.11")'
	@echo "Installing into .venv: about 2 minutes and 2 GB"
	@if [ -e .venv/.unfinished ]; then rm -rf .venv; fi
	@mkdir -p .venv
	@touch .venv/.unfinished
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq -c constraints.txt -e '.[notebooks,dev]'
	@$(BIN)/python -m ipykernel install --sys-prefix --name qoe --display-name QoE >/dev/null
	@mv .venv/.unfinished $@

# One at a time: the lock is gone when Snakemake is, however it ended, and Snakemake ends with make,
# so a run that was killed is resumed by the next call. Its own lock would outlive a kill -9.
define chapter
	@mkdir -p runs
	@exec 9>runs/$@.lock; \
	flock --nonblock 9 || { \
		echo "make $@ is already running in this folder; wait for it or stop it" >&2; exit 1; }; \
	exec env PATH="$(CURDIR)/$(BIN):$$PATH" $(1) setpriv --pdeathsig KILL snakemake --cores all \
		--resources gpu=1 --nolock --rerun-incomplete --quiet host reason $(2)
endef

results: .venv/.installed  ## make every figure and table of the chapter; goes on where it stopped
	$(call chapter)
	@$(BIN)/python -m qoe_core.manifest

test: unit-tests notebooks browser  ## run all tests, then every notebook on simulated sessions

unit-tests: .venv/.installed
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests qoe_core

simulated-chapter: .venv/.installed
	$(call chapter,$(SIMULATED),--config corpus=simulated_small)

check: .venv/.installed  ## lint, format, and no timings in stored notebooks
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(STRIP) --verify notebooks/*.ipynb || { \
		echo "A stored notebook has timings or progress bars: $(STRIP) notebooks/*.ipynb"; exit 1; }

notebooks: simulated-chapter  ## run every notebook, compare the outputs that are marked
	@$(PYTEST_NOTEBOOKS) --nbval-lax

strict: simulated-chapter  ## run every notebook, compare all stored outputs
	@$(PYTEST_NOTEBOOKS) --nbval

store: simulated-chapter  ## run every notebook with its defaults and keep the outputs
	@cd notebooks && $(SIMULATED) TQDM_DISABLE=1 ../$(BIN)/jupyter nbconvert --to notebook --execute \
		--inplace --log-level WARN *.ipynb
	@$(STRIP) notebooks/*.ipynb

browser: simulated-chapter  ## use the explorer in a browser, as tests
	@$(SIMULATED) QOE_SCREENSHOTS="$(TEST_RUNS)/screenshots" $(BIN)/python -m pytest -rs tests/browser

lab: .venv/.installed  ## open JupyterLab on this machine, kernel "QoE"
	@exec $(BIN)/jupyter lab --ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) \
		--ServerApp.jpserver_extensions=voila.server_extension=False

# A mistake in the settings ends voila, which would otherwise go on without them
explore: .venv/.installed explore/voila.py  ## the explorer as a local web page; PORT=8866
	@TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR=1 exec setpriv --pdeathsig TERM $(BIN)/voila \
		--Voila.config_file_paths=explore --port=$(PORT) notebooks/07_explorer.ipynb

bench: .venv/.installed  ## measure speed and memory
	@$(BIN)/python -m qoe_core.bench

profile: simulated-chapter  ## where the time of one training goes, 25 lines
	@$(BIN)/python -m qoe_core.profile

clean:  ## remove .venv, caches and test runs; results, corpora and features stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info "$(TEST_RUNS)"
	find qoe_core tests -name __pycache__ -prune -exec rm -rf {} +
