# The package lemon-session-host for servers in Python: its wheel, and its tests in an environment that has the wheel and what
# host/python/tests/requirements.txt pins.

PYTHON_TESTS = target/python
PYTHON_HOST = host/python/src/lemon_session_host
# The session component with a store in files.
PYTHON_FILES = $(PYTHON_HOST)/data/lemon_session_files.wasm
PROVIDER_FILES = $(wildcard host/command/providers/files.wasm)
COMMAND = $(or $(CARGO_TARGET_DIR),target)/debug/lemon-session
WHEEL = $(PYTHON_TESTS)/wheel/done

wheel: $(WHEEL)
	mkdir -p dist
	cp $(PYTHON_TESTS)/wheel/*.whl dist/

test-python: $(PYTHON_TESTS)/installed
	cd $(PYTHON_TESTS) && bin/mypy --strict --cache-dir mypy ../../$(PYTHON_HOST)
	cd $(PYTHON_TESTS) && LEMON_SESSION_COMMAND=$(wildcard $(abspath $(COMMAND))) LEMON_SESSION_CACHE=$(abspath $(PYTHON_TESTS))/cache \
	    bin/python -m unittest discover --buffer --start-directory ../../host/python/tests --top-level-directory ../../host/python

$(PYTHON_TESTS)/installed: $(WHEEL)
	$(PYTHON_TESTS)/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(PYTHON_TESTS)/wheel/*.whl
	touch $@

$(WHEEL): $(shell find host/python/src -name '*.py') host/python/pyproject.toml host/python/README.md host/embed/lemon_session.wasm \
    $(wildcard host/redis/src/scripts/*.lua host/sqlite/src/layout_*.sql) $(if $(PROVIDER_FILES),$(PYTHON_FILES)) \
    $(PYTHON_TESTS)/ready
	rm -rf $(@D) && mkdir -p $(@D)
	$(PYTHON_TESTS)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(@D) host/python
	touch $@

$(PYTHON_FILES): host/embed/lemon_session.wasm $(PROVIDER_FILES)
	# With the features of the tests, so that no dependency is built again.
	$(CARGO) build --quiet --workspace --bin lemon-session --test generators
	$(COMMAND) component --provider files -o $@

$(PYTHON_TESTS)/ready: host/python/tests/requirements.txt
	$(PYTHON) -m venv $(PYTHON_TESTS)
	$(PYTHON_TESTS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
