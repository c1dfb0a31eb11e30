# wasmtime-py for the host in Python, installed once into target/hosting at the version that is pinned here. The host in Node has
# the jco of tests/runtimes.

HOSTING = target/hosting

$(HOSTING)/python/bin/python: examples/hosting/python/requirements.txt
	$(PYTHON) -m venv $(HOSTING)/python
	$(HOSTING)/python/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
