import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import Database from 'better-sqlite3';

import { layouts } from '../dist/sqlite.js';
import { Sessions } from '../src/index.js';
import { folder } from './support.js';

async function opened(file, options = {}) {
    const logged = [];
    const sessions = await Sessions.open({ storage: `sqlite:${file}`, log: text => logged.push(text), ...options });
    return { sessions, logged };
}

test('tables of an older layout are upgraded, and their sessions kept', async () => {
    const file = `${folder()}/old.db`;
    const db = new Database(file);
    db.exec(layouts[0].replaceAll('{table}', 'Session'));
    db.exec('CREATE TABLE "Session_meta" (version INTEGER NOT NULL) STRICT; INSERT INTO "Session_meta" VALUES (1)');
    const later = Math.floor(Date.now() / 1000) + 1000;
    db.prepare(`INSERT INTO "Session" (key, created, accessed, expires, renewed, owner, version, size) VALUES (?, 1, 2, ?, 1, 'ada', 1, 0)`)
        .run(Buffer.alloc(32, 7), later);
    db.close();
    const { sessions } = await opened(file);
    assert.equal(await sessions.manager().tablesExist(), false);
    assert.equal(await sessions.manager().count(), 1);
    assert.equal(await sessions.manager().tablesExist(), true);
    for await (const { digest, owner, accessed } of sessions.manager().list()) {
        assert.deepEqual({ digest, owner, accessed }, { digest: '07'.repeat(32), owner: 'ada', accessed: 2 });
    }
});

test('tables of a newer layout, and files of another kind, are refused', async () => {
    const file = `${folder()}/new.db`;
    const db = new Database(file);
    db.exec('CREATE TABLE "Session_meta" (version INTEGER NOT NULL) STRICT; INSERT INTO "Session_meta" VALUES (99)');
    db.close();
    const { sessions, logged } = await opened(file);
    await assert.rejects(sessions.manager().count(), { code: 'storage' });
    assert.match(logged.join(), /have the layout 99, which this version does not know/);

    const text = `${folder()}/text.db`;
    writeFileSync(text, 'not a database, but long enough for the header of one'.repeat(100));
    const other = await opened(text);
    await assert.rejects(other.sessions.manager().count(), { code: 'storage' });
    assert.match(other.logged.join(), /text\.db is not an SQLite database/);
});

test('a table of another program is named and left as it is', async () => {
    const file = `${folder()}/shop.db`;
    const db = new Database(file);
    db.exec('CREATE TABLE session (customer TEXT)');
    const { sessions, logged } = await opened(file);
    await assert.rejects(sessions.manager().createTables(), /storage: the session store is unavailable/);
    assert.match(logged.join(), /has a table session that another program made: there is no table Session_meta beside it/);
    await sessions.manager().dropTables();
    assert.deepEqual(db.prepare('SELECT name FROM sqlite_schema').pluck().all(), ['session']);
});

test('without createTables, missing tables are an error that says what creates them', async () => {
    const { sessions, logged } = await opened(`${folder()}/none.db`, { createTables: false });
    await assert.rejects((await sessions.start()).save(), { code: 'storage' });
    assert.match(logged.join(), /manager\.createTables\(\) creates them/);
    await sessions.manager().createTables();
    await (await sessions.start()).save();
    await sessions.manager().dropTables();
    assert.equal(await sessions.manager().tablesExist(), false);
});

test('a file that is replaced while it is in use is refused', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const path = folder();
    const { sessions, logged } = await opened(`${path}/sessions.db`);
    const other = await opened(`${path}/other.db`);
    for (const one of [sessions, other.sessions]) {
        await (await one.start()).save();
    }
    await other.sessions.close();
    renameSync(`${path}/other.db`, `${path}/sessions.db`);
    t.mock.timers.tick(1100);
    await assert.rejects(sessions.manager().count(), { code: 'storage' });
    assert.match(logged.join(), /sessions\.db was replaced or removed while it was in use: start this process again/);
});

test('an id that is renewed by itself leads to its session for the grace period, then to none', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const { sessions } = await opened(`${folder()}/grace.db`, { renewAfter: 60, renewGrace: 30 });
    const by = id => sessions.start(new Request('http://localhost/', { headers: { cookie: `session=${id}` } }));
    const first = await sessions.start();
    first.set('x', 1);
    await first.save();
    const old = first.id;
    t.mock.timers.tick(61_000);
    const renewed = await by(old);
    await renewed.save();
    assert.notEqual(renewed.id, old);
    t.mock.timers.tick(29_000);
    const parallel = await by(old);
    assert.deepEqual([parallel.created, parallel.get('x')], [false, 1]);
    t.mock.timers.tick(2_000);
    assert.equal((await by(old)).created, true);
    assert.equal((await by(renewed.id)).get('x'), 1);
});

test('expired sessions are not found, and a cleanup removes them and their large values', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const file = `${folder()}/expired.db`;
    const { sessions } = await opened(file, { expires: 1, cleanup: 0, rememberEnded: 0, touchAfter: 0 });
    const ids = [];
    for (let i = 0; i < 40; i += 1) {
        const session = await sessions.start();
        session.set('large', 'x'.repeat(1000));
        await session.save();
        ids.push(session.id);
        session.dispose();
    }
    t.mock.timers.tick(2100);
    assert.equal((await sessions.start(null, { sessionId: ids[0] })).created, true);
    assert.equal(await sessions.manager().count(), 0);
    // The one that was looked for is gone already.
    assert.equal(await sessions.manager().cleanup(10), 10);
    assert.equal(await sessions.manager().cleanup(), 29);
    const db = new Database(file);
    assert.equal(db.prepare('SELECT (SELECT count(*) FROM "Session") + (SELECT count(*) FROM "Session_large")').pluck().get(), 0);
    db.close();
});
