import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Visitor, folder } from './support.js';

const here = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(join(here, 'README.md'), 'utf8');
const { devDependencies } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

describe('the README', () => {
    const site = folder();

    before(() => {
        const npm = (...args) => execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: site });
        const [{ filename, files }] = JSON.parse(
            execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', site], { cwd: here }),
        );
        assert.ok(files.some(({ path }) => path === 'dist/session/component.core.wasm'));
        assert.ok(files.every(({ path }) => /^(src|dist)\/|^(package\.json|README\.md|LICENSE)$/.test(path)), String(files));
        writeFileSync(join(site, 'package.json'), '{"private": true, "type": "module"}');
        const packages = [...text.matchAll(/^ {4}npm install (.*)$/gm)].flatMap(([, names]) => names.split(' '));
        const sources = new Set(packages.map(name => (name === 'lemon-session-host' ? `./${filename}` : `${name}@${devDependencies[name]}`)));
        // Compiled here already, which takes a minute where its authors' binary cannot be had.
        const built = join(here, 'node_modules/better-sqlite3/build');
        npm('install', '--ignore-scripts', '--prefer-offline', ...sources);
        cpSync(built, join(site, 'node_modules/better-sqlite3/build'), { recursive: true });
        for (const [, name, code] of text.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms)) {
            writeFileSync(join(site, name), code);
        }
    });

    /** Runs an example and returns where it listens. */
    async function run(name) {
        const child = spawn(process.execPath, [name], { cwd: site, env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
        after(() => child.kill('SIGKILL'));
        const [line] = await once(child.stdout, 'data');
        return String(line).trim();
    }

    test('its page of express counts, logs in and logs out, and shares the session with that of fetch', async () => {
        const visitor = new Visitor(await run('server.mjs'));
        assert.equal((await visitor.get('/')).body, 'Visit 1 by nobody\n');
        const before = visitor.cookie;
        const login = await visitor.send('/login', {
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: 'user=ada',
        });
        assert.equal(login.status, 302);
        assert.notEqual(visitor.cookie, before);
        assert.equal((await visitor.get('/')).body, 'Visit 2 by ada\n');
        const forged = await visitor.send('/logout', { method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } });
        assert.equal(forged.status, 403);

        const other = new Visitor(await run('fetch.mjs'));
        other.cookies = visitor.cookies;
        // One session in one store, but each page has the application of its settings: here both have the default.
        assert.equal((await other.get('/')).body, 'Visit 3\n');
        assert.equal((await visitor.get('/')).body, 'Visit 4 by ada\n');
        assert.equal((await other.post('/logout')).body, 'Logged out\n');
        assert.equal((await visitor.get('/')).body, 'Visit 1 by nobody\n');
        assert.ok(existsSync(join(site, 'sessions.db')));
    });
});
