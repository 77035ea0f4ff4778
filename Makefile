# One environment for all targets, made anew when setup.cfg changes.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
# TensorFlow's C++ notices say nothing about this project.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-slow test-processors test-serving test-lowest lint speed numbers docs

demo: $(INSTALLED)
	mkdir -p reports
	$(BIN)/ocsdf report breast_cancer --output reports/breast_cancer.html

# A worker a core: the libraries' own threads would only get in each other's way.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile --cov --cov-report=term

# oneDNN frees memory wrongly in a weight gradient of ResNet-18 for batches of 1 or 5.
test-slow: $(INSTALLED)
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/python -m pytest -m slow

# The tests of numbers as other processors round; SETTINGS and TESTS name some of them.
test-processors: $(INSTALLED)
	$(BIN)/python -m tests.processors $(SETTINGS) $(if $(TESTS),--tests $(TESTS))

# The light environment that only loads and scores: made anew, measured, compared.
test-serving: $(INSTALLED)
	$(BIN)/python -m tests.serving build/serving

# The fast tests with the oldest versions that setup.cfg allows, in an environment of their own.
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt -e '.[test]'
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(VENV)-lowest/bin/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Pages, the reference and the examples, which run; warnings are errors.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -b html -d build/doctrees docs build/docs
	$(BIN)/python docs/check_links.py build/docs

speed: $(INSTALLED)
	$(BIN)/python -m experiments.speed

# Measured numbers of README.md and docs/ anew, from the CSV files.
numbers: $(INSTALLED)
	$(BIN)/python -m experiments.numbers

$(INSTALLED): setup.cfg ocsdf/_version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test,lint]'
	touch $@
