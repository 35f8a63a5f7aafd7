# `make` alone lists the targets. Each of them first makes the environment it needs, in .venv.
# All paths are relative, so that the checkout may lie in a folder with blanks in its name.

PYTHON  ?=          # make PYTHON=/path/to/python3.12: build .venv from this interpreter
METHODS ?=          # make demo METHODS=all
SEEDS   ?=          # make demo SEEDS=5
IMAGES  ?= data/tiny-imagenet-200 # make pretrain-photos IMAGES=folder
ARGS    ?=          # further arguments of the program behind a target, e.g. make test ARGS="-x"
JOBS    ?= 2        # test processes
TIMES   ?= 20       # make fuzz TIMES=1000: for a night
CELL_TIMEOUT ?= 600 # seconds that one notebook cell may take

PY        := .venv/bin/python
READY     := .venv/ready
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb notebooks/workshop/*.ipynb))
GIGABYTES := $(if $(filter Linux,$(shell uname -s)),9,3)# a Linux torch brings its CUDA libraries
LAB_SETTINGS := fmlora_kit/commands/jupyter/labconfig/default_setting_overrides.json

export PLOTLY_RENDERER := plotly_mimetype

.PHONY: help env demo lab test coverage test-browser fuzz lint notebooks site gallery pretrain pretrain-photos \
    ablation compare bench gpu workshop wheelhouse clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "make %-13s %s\n", $$1, $$2}'

env: $(READY)  ## only make the environment (.venv, from Python 3.11 or newer)

demo: $(READY)  ## train and compare on the glyphs stream, write build/demo/index.html (METHODS=all SEEDS=5)
	@$(PY) -m fmlora_kit demo $(if $(strip $(METHODS)),--methods $(METHODS)) \
	    $(if $(strip $(SEEDS)),--seeds $(SEEDS)) --out build/demo $(ARGS)

lab: $(READY)  ## open the first notebook in JupyterLab
	@$(PY) -m fmlora_kit lab -- $(ARGS)

test: lint  ## lint, run the tests, run every notebook and compare its outputs
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile tests $(ARGS)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile \
	    --nbval --nbval-current-env --nbval-cell-timeout=$(CELL_TIMEOUT) notebooks

coverage: $(READY)  ## the tests, with the lines that none of them reaches (a third longer): at least 90 % are
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile \
	    --cov=fmlora_kit --cov-report=term-missing:skip-covered --cov-fail-under=90 tests $(ARGS)

test-browser: $(READY)  ## drive the notebooks and the pages in a Chromium (FMLORA_BROWSER=path: in this one)
	OMP_NUM_THREADS=1 $(PY) -m pytest -rs -n $(JOBS) --dist loadfile tests/browser $(ARGS)

fuzz: $(READY)  ## the fuzz suite, with other inputs than make test has and TIMES as many of them
	FUZZ_TIMES=$(TIMES) OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile tests/fuzz $(ARGS)

lint: $(READY)  ## ruff over the package, the tests and the notebooks
	@$(PY) -m ruff check .

notebooks: $(READY)  ## run every notebook again and store its outputs, without timings and widget state
	OMP_NUM_THREADS=1 $(PY) -m nbconvert --to notebook --execute --inplace \
	    --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=$(CELL_TIMEOUT) \
	    $(NOTEBOOKS)
	$(PY) -m fmlora_kit site --pictures
	$(PY) -m nbstripout --keep-output --keep-count --keep-id \
	    --extra-keys "metadata.language_info.version" $(NOTEBOOKS)

site: $(READY)  ## make offline pages of the notebooks as they are stored: build/site/index.html
	@$(PY) -m fmlora_kit site --out build/site $(ARGS)

gallery: $(READY)  ## draw the figures tagged for the README into notebooks/gallery (needs Chromium)
	@$(PY) -m fmlora_kit site --gallery notebooks/gallery $(ARGS)

workshop: $(READY)  ## notebooks and slides for an afternoon: build/workshop
	@$(PY) -m fmlora_kit workshop build --force
	@$(PY) -m fmlora_kit workshop slides

wheelhouse: $(READY)  ## all that laptops without a network need, for a memory stick: build/wheelhouse
	@$(PY) -m fmlora_kit workshop wheelhouse --out build/wheelhouse $(ARGS)

pretrain: $(READY)  ## train the embedded backbone again (about 20 minutes on 2 cores), into data/
	@$(PY) -m fmlora_kit pretrain glyph_vit $(ARGS)

pretrain-photos: $(READY)  ## train the backbone for photos again (hours on 2 cores): IMAGES=folder of Tiny-ImageNet
	@$(PY) -m fmlora_kit pretrain photo_vit --images $(IMAGES) $(ARGS)

ablation: $(READY)  ## what each part of FM-LoRA is worth, and other studies: build/ablation (ARGS="--study heads")
	@$(PY) -m fmlora_kit ablation $(ARGS)

compare: $(READY)  ## every method on the four embedded streams, 3 seeds (about an hour on 2 cores): build/compare
	@OMP_NUM_THREADS=1 $(PY) -m fmlora_kit compare --out build/compare $(ARGS)

bench: $(READY)  ## time a training step of every method, and PEFT's, on ViT-B/16: build/bench
	@$(PY) -m fmlora_kit bench --out build/bench $(ARGS)

gpu: $(READY)  ## what a GPU has to show, and a report to send back: build/gpu (ARGS=check, bench, hours, photos)
	$(PY) -m pytest -rs -q tests/test_training_device.py
	@$(PY) -m fmlora_kit gpu $(ARGS)

clean:  ## remove what was built; keeps .venv (rm -r .venv removes that too)
	rm -rf build dist .hypothesis .coverage .coverage.* .pytest_cache .ruff_cache
	find fmlora_kit tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# --- the environment -------------------------------------------------------------------------
# .venv/ready is written last and holds the folder it was made in: without it, or in a copied or
# moved checkout, or when its Python is gone, .venv is made anew. If only pyproject.toml or
# requirements.txt changed, it is brought up to date in place.

SOUND := $(shell [ "$$(cat $(READY) 2>/dev/null)" = "$$(pwd -P)" ] && $(PY) -c '' 2>/dev/null && echo yes)

ifneq ($(SOUND),yes)
.PHONY: $(READY)
endif

# Says why an interpreter cannot be used. It has to start in any Python, also in Python 2.
define PROBE
import sys
if sys.version_info < (3, 11):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
for module in "venv", "ensurepip":
    try:
        __import__(module)
    except ImportError:
        sys.exit("has no %s; on Debian or Ubuntu: apt install python%d.%d-venv (or python3-venv)"
                 % ((module,) + sys.version_info[:2]))
for module in "ssl", "ctypes", "sqlite3", "lzma", "bz2":
    try:
        __import__(module)
    except ImportError:
        sys.exit("was built without %s: install that library's headers and build it again" % module)
endef
export PROBE

define CREATE
	@rm -rf .venv; \
	free=$$(df -Pk . | awk 'NR == 2 {print int($$4 / 1048576)}'); \
	if [ "$$free" -lt $(GIGABYTES) ]; then \
	    echo "make: .venv needs $(GIGABYTES) GB of disk, but only $$free GB are free here." >&2; exit 1; \
	fi; \
	if [ -n "$(strip $(PYTHON))" ]; then set -- "$(strip $(PYTHON))"; \
	else set -- python3.13 python3.12 python3.11 python3; fi; \
	tried=; \
	for python; do \
	    if ! command -v "$$python" >/dev/null; then why="not found"; \
	    elif why=$$("$$python" -c "$$PROBE" 2>&1); then break; fi; \
	    tried="$$tried  $$python: $$(echo "$$why" | head -n 1)\n"; python=; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "make: found no Python that .venv can be made from. It takes Python 3.11 or newer with the venv module." >&2; \
	    printf '%b' "Tried:\n$${tried}Install one, or name one: make PYTHON=/path/to/python3.12\n" >&2; \
	    exit 1; \
	fi; \
	echo "Making .venv from $$(command -v "$$python") ($$("$$python" -V))."; \
	"$$python" -m venv .venv
endef

$(READY): pyproject.toml requirements.txt
	@rm -f $(READY)
	$(if $(SOUND),,$(CREATE))
	@echo "Installing what requirements.txt pins: several GB on Linux, some minutes."
	@$(PY) -m pip install --quiet --disable-pip-version-check \
	    --constraint requirements.txt --editable ".[notebooks,interchange,scale,dev]" || { \
	    echo "make: pip failed; the reason stands above. The usual ones: no network, a proxy that pip is not" >&2; \
	    echo "told of (HTTPS_PROXY), a full disk, or a Python too new for the pinned versions (then name" >&2; \
	    echo "an older one: make PYTHON=python3.12). The half-made .venv is made anew next time." >&2; exit 1; }
	@mkdir -p .venv/etc/jupyter/labconfig
	@cp $(LAB_SETTINGS) .venv/etc/jupyter/labconfig/
	@pwd -P > $(READY)
