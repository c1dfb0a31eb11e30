# The tools of the hosts in other languages, installed once into target/hosting at the versions that are pinned here.

HOSTING = target/hosting

$(HOSTING)/python/bin/python: examples/hosting/python/requirements.txt
	$(PYTHON) -m venv $(HOSTING)/python
	$(HOSTING)/python/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(HOSTING)/node/node_modules/.package-lock.json: examples/hosting/node/package.json examples/hosting/node/package-lock.json
	mkdir -p $(HOSTING)/node
	cp $^ $(HOSTING)/node/
	cd $(HOSTING)/node && $(NPM) ci --silent --no-audit --no-fund
	touch $@
