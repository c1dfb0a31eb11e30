# Installs the runtimes of other projects, on which the tests run sites, at the versions pinned here.

RUNTIMES = target/runtimes

# Links to the programs themselves: what pip installs in bin is a script in Python. wasmtime's lacks the permission to be run.
$(RUNTIMES)/bin/wasmtime $(RUNTIMES)/bin/wash &: tests/runtimes/requirements.txt
	mkdir -p $(RUNTIMES)/bin
	$(PYTHON) -m venv $(RUNTIMES)/python
	$(RUNTIMES)/python/bin/pip install --quiet --disable-pip-version-check -r $<
	for program in wasmtime wash; do \
		file=$$(echo $(CURDIR)/$(RUNTIMES)/python/lib/python3*/site-packages/$${program}_cli/$$program); \
		chmod +x $$file && ln -sf $$file $(RUNTIMES)/bin/$$program && touch $$file || exit 1; \
	done

# Also for the host of examples/hosting in Node.
$(RUNTIMES)/node_modules/installed: tests/runtimes/package.json tests/runtimes/package-lock.json
	mkdir -p $(RUNTIMES)
	cp $^ $(RUNTIMES)/
	cd $(RUNTIMES) && $(NPM) ci --silent --no-audit --no-fund
	touch $@

$(RUNTIMES)/bin/jco: $(RUNTIMES)/node_modules/installed
	mkdir -p $(RUNTIMES)/bin
	ln -sf ../node_modules/.bin/jco $@ && touch $(RUNTIMES)/node_modules/.bin/jco
