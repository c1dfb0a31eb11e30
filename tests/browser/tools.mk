# Installs what the tests in a browser check pages with, at the version pinned here.

target/browser/node_modules/axe-core/axe.min.js: tests/browser/package.json tests/browser/package-lock.json
	mkdir -p target/browser
	cp $^ target/browser/
	cd target/browser && $(NPM) ci --silent --no-audit --no-fund
	touch $@
