# Builds the pages in Python, JavaScript, TypeScript and Go as components, with the tool of each language. The tools are installed
# once into target/languages, at the versions pinned in sdk/python/requirements.txt, sdk/js/package-lock.json and
# sdk/go/requirements.txt.

PAGES = target/languages
PYTHON ?= python3
NPM ?= npm
COMPONENTIZE_PY = $(PAGES)/python/bin/componentize-py
COMPONENTIZE_JS = $(PAGES)/js/node_modules/.bin/componentize-js
COMPONENTIZE ?= $(CARGO) run --quiet -p lemon-session-componentize --
GO = $(CURDIR)/$(PAGES)/go/bin/go

$(PAGES)/visits-python.wasm: examples/visits-python/visits.py
$(PAGES)/values-python.wasm: tests/values/values.py
$(PAGES)/visits-js.wasm: examples/visits-js/visits.js
$(PAGES)/values-js.wasm: tests/values/values.js
$(PAGES)/visits-ts.wasm: examples/visits-ts/visits.ts examples/visits-ts/tsconfig.json
$(PAGES)/visits-go.wasm: examples/visits-go/visits.go
$(PAGES)/values-go.wasm: tests/values/values.go

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

$(PAGES)/%-ts.wasm: sdk/js/lemon-session.js sdk/js/lemon-session.d.ts $(PAGES)/wit/world.wit $(COMPONENTIZE_JS)
	rm -rf $(PAGES)/$*-ts && mkdir -p $(PAGES)/$*-ts
	$(PAGES)/js/node_modules/.bin/tsc -p $(dir $(filter %/$*.ts,$^)) --outDir $(PAGES)/$*-ts
	cp sdk/js/lemon-session.js $(PAGES)/$*-ts/
	$(COMPONENTIZE_JS) $(PAGES)/$*-ts/$*.js -w $(PAGES)/wit -n page -o $@

# Go makes a core module. The flag lets the runtime of the bindings call a function of Go's own runtime.
$(PAGES)/%-go.wasm: $(GO) $(shell find sdk/go -name '*.go') $(wildcard sdk/componentize/src/*)
	cd $(dir $(filter %/$*.go,$(filter-out sdk/%,$^))) && GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOPROXY=off GOCACHE=$(CURDIR)/$(PAGES)/go/cache \
	    $(GO) build -buildmode=c-shared -trimpath -ldflags='-checklinkname=0 -s -w' -o $(CURDIR)/$(PAGES)/$*-go.core.wasm
	$(COMPONENTIZE) $(PAGES)/$*-go.core.wasm -o $@

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

# A link to the program itself: what pip installs in bin is a script in Python.
$(GO): sdk/go/requirements.txt
	$(PYTHON) -m venv $(PAGES)/go
	$(PAGES)/go/bin/pip install --quiet --disable-pip-version-check -r $<
	ln -sf $(CURDIR)/$(PAGES)/go/lib/python3*/site-packages/go/bin/go $@ && touch $@
