import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Sessions } from '../src/index.js';
import { complete } from '../src/settings.js';
import { folder } from './support.js';

const refused = (options, message) =>
    assert.rejects(Sessions.open({ storage: `sqlite:${folder()}/x.db`, ...options }), error => {
        assert.equal(error.code, 'invalid-option');
        assert.match(error.message, message);
        return true;
    });

test('settings are read and checked as those of lemon.ini', async () => {
    await refused({ expires: 0 }, /^invalid-option: expires: a session lasts at least 1 second$/);
    await refused({ cookie: { path: 'shop' } }, /cookie\.path: .*'shop' is not a path/);
    await refused({ expires: 'soon' }, /expires: "soon" is not a time/);
    await refused({ cookie: { sameSite: 'Never' } }, /cookie\.sameSite: .*strict, lax/);
    await refused({ limits: { valueBytes: '8M' } }, /limits\.valueBytes: .* is not between 1 and session-bytes/);
    await refused({ expire: 5 }, /expire: there is no such setting.*expires/);
    await refused({ expires: 0, cleanup: 2 }, /expires: .*; cleanup: /);
    await refused({ reserved: { auth: 'secret' } }, /reserved: auth: not the SHA-256 hash/);
    await refused({ manager: 'all' }, /manager: a server may call all of the manager/);
    await refused({ cookie: { path: Symbol('x') } }, /cookie\.path is a string, number or boolean, not symbol/);
});

test('a store is a URL with options', async () => {
    await refused({ storage: undefined }, /storage is a storage URL/);
    await refused({ storage: 'rediss://localhost' }, /this package has no TLS: use redis:\/\/ and the address of a tunnel/);
    await refused({ storage: 'mysql://localhost/x' }, /'mysql:' is none of sqlite:PATH, files:DIRECTORY, redis:/);
    await refused({ storage: 'sqlite::memory:' }, /SQLite in memory is not for sessions/);
    await refused({ storage: { url: 'sqlite:x', table: 'a-b' } }, /'a-b' is not a table name/);
    await refused({ storage: { url: 'sqlite:x', synchronous: 'OFF' } }, /synchronous is NORMAL .* or FULL/);
    await refused({ storage: { url: 'sqlite:x', busyTimeout: 'x' } }, /busyTimeout: 'x' is not a time/);
    await refused({ storage: { url: 'sqlite:x', cache: 1 } }, /storage\.cache: a store in SQLite has no such option/);
    await refused({ storage: { load() {} } }, /has no fetch, create/).catch(() => {});
    await refused({ threads: -1 }, /threads is a whole number from 0/);
    await refused({ instances: 0 }, /instances is a whole number from 1/);
});

test('the defaults are those of the command', async () => {
    const { defaults } = await complete({ storage: 'sqlite:x' });
    // The command's tests check that these are its own.
    const ini = readFileSync(new URL('../../../examples/lemon.ini', import.meta.url), 'utf8');
    const documented = { storage: 'sqlite:x' };
    let count = 0;
    for (const [, section, text] of ini.matchAll(/^\[session(?:\.(cookie|limits))?\]$(.*?)(?=^\[)/gms)) {
        const into = section ? (documented[section] = {}) : documented;
        for (const [, key, value] of text.matchAll(/^# ([a-z-]+) = (\S+)$/gm)) {
            if (!['manager', 'new-sessions'].includes(key)) {
                into[key.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = value;
                count += 1;
            }
        }
    }
    assert.ok(count >= 20, `${count} defaults`);
    assert.deepEqual((await complete(documented)).defaults, defaults);
    const leaves = value => (typeof value === 'object' ? Object.values(value).flatMap(leaves) : value === undefined || value === '' ? [] : [value]);
    assert.equal(leaves({ ...defaults, reserved: {} }).length, count, 'a setting that lemon.ini does not tell');
});

test('settings that are given replace the defaults', async () => {
    const { defaults } = await complete({ storage: 'sqlite:x' });
    const { defaults: changed } = await complete({
        storage: 'sqlite:x',
        app: 'shop',
        expires: '1h',
        touchAfter: 60,
        cookie: { name: 'site', secure: 'on', lifetime: 0 },
        limits: { variables: 5 },
        reserved: { auth: 'ab'.repeat(32) },
        lazy: true,
    });
    assert.deepEqual(changed, {
        ...defaults,
        app: 'shop',
        expires: 3600,
        touchAfter: 60,
        cookie: { ...defaults.cookie, name: 'site', secure: 'on', lifetime: 0 },
        limits: { ...defaults.limits, variables: 5 },
        reserved: [{ name: 'auth', secretHash: 'ab'.repeat(32) }],
        lazy: true,
    });
});
