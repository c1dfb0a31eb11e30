# Builds the pages in Python and JavaScript as components, with the tool of each language. The tools are installed once into
# target/languages, at the versions pinned in sdk/python/requirements.txt and sdk/js/package-lock.json.

PAGES = target/languages
PYTHON ?= python3
NPM ?= npm
COMPONENTIZE_PY = $(PAGES)/python/bin/componentize-py
COMPONENTIZE_JS = $(PAGES)/js/node_modules/.bin/componentize-js

$(PAGES)/visits-python.wasm: examples/visits-python/visits.py
$(PAGES)/values-python.wasm: tests/values/values.py
$(PAGES)/visits-js.wasm: examples/visits-js/visits.js
$(PAGES)/values-js.wasm: tests/values/values.js

$(PAGES)/%-python.wasm: sdk/python/lemon_session.py $(PAGES)/wit/world.wit $(COMPONENTIZE_PY)
	$(COMPONENTIZE_PY) --quiet -d $(PAGES)/wit -w page componentize $* \
	    -p $(dir $(filter %/$*.py,$^)) -p sdk/python -o $@

# For WASI 0.3.
$(PAGES)/visits-async-python.wasm: examples/visits-async-python/visits.py $(wildcard sdk/python/*.py) \
    $(PAGES)/wit-async/world.wit $(COMPONENTIZE_PY)
	$(COMPONENTIZE_PY) --quiet -d $(PAGES)/wit-async -w page-async componentize visits \
	    -p examples/visits-async-python -p sdk/python -o $@

$(PAGES)/%-js.wasm: sdk/js/lemon-session.js $(PAGES)/wit/world.wit $(COMPONENTIZE_JS)
	rm -rf $(PAGES)/$*-js && mkdir -p $(PAGES)/$*-js
	cp $(filter %.js,$(filter-out $(COMPONENTIZE_JS),$^)) $(PAGES)/$*-js/
	$(COMPONENTIZE_JS) $(PAGES)/$*-js/$*.js -w $(PAGES)/wit -n page -o $@

# Checks that the types for TypeScript accept and refuse what they should.
$(PAGES)/types: tests/values/types.ts sdk/js/lemon-session.d.ts $(COMPONENTIZE_JS)
	$(PAGES)/js/node_modules/.bin/tsc --noEmit --strict --target es2023 --module nodenext --lib es2023,dom $<
	touch $@

# A copy without symbolic links, which the JavaScript tools do not follow.
$(PAGES)/wit/world.wit: sdk/wit/world.wit $(wildcard sdk/wit/deps/*.wit wit/*.wit)
	rm -rf $(PAGES)/wit && mkdir -p $(PAGES)
	cp -RL sdk/wit $(PAGES)/wit
	rm -rf $(PAGES)/wit/deps/lemon-session/deps
	touch $@

$(PAGES)/wit-async/world.wit: $(wildcard sdk/wit-async/* sdk/wit-async/deps/*.wit wit/*.wit)
	$(PYTHON) sdk/wit-async/copy.py $(PAGES)/wit-async
	touch $@

$(COMPONENTIZE_PY): sdk/python/requirements.txt
	$(PYTHON) -m venv $(PAGES)/python
	$(PAGES)/python/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(COMPONENTIZE_JS): sdk/js/package.json sdk/js/package-lock.json
	mkdir -p $(PAGES)/js
	cp $^ $(PAGES)/js/
	cd $(PAGES)/js && $(NPM) ci --silent --no-audit --no-fund
	touch $@
