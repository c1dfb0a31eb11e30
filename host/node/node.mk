# Builds the npm package in its folder, with the tools that package-lock.json pins.

NODE_PACKAGE = host/node
NODE_SOURCES = $(NODE_PACKAGE)/build.js sdk/js/lemon-session.js sdk/js/lemon-session.d.ts \
    host/embed/lemon_session.wasm host/command/providers/files.wasm host/command/providers/redis.wasm \
    $(wildcard host/sqlite/src/*.sql) host/sqlite/src/statements.rs host/sqlite/src/schema.rs

$(NODE_PACKAGE)/node_modules/installed: $(NODE_PACKAGE)/package.json $(NODE_PACKAGE)/package-lock.json
	cd $(NODE_PACKAGE) && $(NPM) ci --silent --no-audit --no-fund
	touch $@

$(NODE_PACKAGE)/dist/built: $(NODE_SOURCES) $(NODE_PACKAGE)/node_modules/installed
	cd $(NODE_PACKAGE) && $(NPM) run --silent build
	touch $@

# The pages of a site on express, beside the package as npm packs it and the packages that package-lock.json pins.
NODE_SITE = target/page-by-page
NODE_PAGES = examples/page-by-page/express/page.mjs examples/page-by-page/express/values.mjs

$(NODE_SITE)/page.mjs: $(NODE_PAGES) $(NODE_SITE)/installed
	cp $(NODE_PAGES) $(NODE_SITE)/

$(NODE_SITE)/installed: $(NODE_PACKAGE)/dist/built $(wildcard $(NODE_PACKAGE)/src/*.js $(NODE_PACKAGE)/src/sqlite/*.js)
	rm -rf $(NODE_SITE) && mkdir -p $(NODE_SITE)/node_modules/lemon-session-host
	ln -s $(CURDIR)/$(NODE_PACKAGE)/node_modules/* $(NODE_SITE)/node_modules/
	cd $(NODE_PACKAGE) && $(NPM) pack --silent --ignore-scripts --pack-destination $(CURDIR)/$(NODE_SITE)
	tar -xzf $(NODE_SITE)/lemon-session-host-*.tgz --strip-components 1 -C $(NODE_SITE)/node_modules/lemon-session-host
	touch $@
