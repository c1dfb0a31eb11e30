# Pages in Python and JavaScript, each made a component by the tool of its language. The tools are fetched once, at the versions
# that languages/python/requirements.txt and languages/js/package-lock.json pin, into target/languages.

PAGES = target/languages
PYTHON ?= python3
NPM ?= npm
COMPONENTIZE_PY = $(PAGES)/python/bin/componentize-py
COMPONENTIZE_JS = $(PAGES)/js/node_modules/.bin/componentize-js

$(PAGES)/visits-python.wasm: examples/visits-python/visits.py
$(PAGES)/values-python.wasm: tests/values/values.py
$(PAGES)/visits-js.wasm: examples/visits-js/visits.js
$(PAGES)/values-js.wasm: tests/values/values.js

$(PAGES)/%-python.wasm: languages/python/lemon_session.py $(PAGES)/wit/world.wit $(COMPONENTIZE_PY)
	$(COMPONENTIZE_PY) --quiet -d $(PAGES)/wit -w page componentize $* \
	    -p $(dir $(filter %/$*.py,$^)) -p languages/python -o $@

$(PAGES)/%-js.wasm: languages/js/lemon-session.js $(PAGES)/wit/world.wit $(COMPONENTIZE_JS)
	rm -rf $(PAGES)/$*-js && mkdir -p $(PAGES)/$*-js
	cp $(filter %.js,$(filter-out $(COMPONENTIZE_JS),$^)) $(PAGES)/$*-js/
	$(COMPONENTIZE_JS) $(PAGES)/$*-js/$*.js -w $(PAGES)/wit -n page -o $@

# Whether the types for TypeScript take what they should and refuse what they should.
$(PAGES)/types: tests/values/types.ts languages/js/lemon-session.d.ts $(COMPONENTIZE_JS)
	$(PAGES)/js/node_modules/.bin/tsc --noEmit --strict --target es2023 --module nodenext --lib es2023,dom $<
	touch $@

# A copy without symbolic links, which the tools of JavaScript do not follow.
$(PAGES)/wit/world.wit: languages/wit/world.wit $(wildcard languages/wit/deps/*.wit wit/*.wit)
	rm -rf $(PAGES)/wit && mkdir -p $(PAGES)
	cp -RL languages/wit $(PAGES)/wit
	rm -rf $(PAGES)/wit/deps/lemon-session/deps
	touch $@

$(COMPONENTIZE_PY): languages/python/requirements.txt
	$(PYTHON) -m venv $(PAGES)/python
	$(PAGES)/python/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(COMPONENTIZE_JS): languages/js/package.json languages/js/package-lock.json
	mkdir -p $(PAGES)/js
	cp $^ $(PAGES)/js/
	cd $(PAGES)/js && $(NPM) ci --silent --no-audit --no-fund
	touch $@
