# `make quickstart` and `make test` do all their own set-up; a second run does none.
# JOBS: processes that share the tests; 0 runs them in this one, as a debugger needs it.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
READY := .venv/.ready

.PHONY: quickstart quickstart-video figures test check docs format zoo bench

quickstart: $(READY)
	$(BIN)/python tools/quickstart.py $(ARGS)

quickstart-video: $(READY)
	$(BIN)/python tools/quickstart_video.py $(ARGS)

figures: $(READY)
	$(BIN)/python tools/draw_figures.py $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/make_model_zoo.py --check
	$(MAKE) docs test

docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python benchmarks/block.py $(ARGS)

zoo: $(READY)
	$(BIN)/python tools/make_model_zoo.py $(ARGS)

$(READY): requirements.txt pyproject.toml setup.py $(wildcard nonlocal_det/install/*.py)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-build-isolation --no-deps -e .
	$(BIN)/python tools/install_detectron2.py
	touch $@
