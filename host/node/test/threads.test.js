import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import Database from 'better-sqlite3';

import { Sessions } from '../src/index.js';
import { folder } from './support.js';

test('a store that waits in another thread does not halt the event loop', async () => {
    const file = `${folder()}/sessions.db`;
    const sessions = await Sessions.open({ storage: `sqlite:${file}`, threads: 1 });
    const session = await sessions.start();
    await session.save();
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    session.set('x', 1);
    let isSaved = false;
    const saving = session.save().then(() => (isSaved = true));
    await wait(200);
    assert.equal(isSaved, false);
    // Only this thread can let the save go on.
    other.exec('COMMIT');
    other.close();
    await saving;
    const { id } = session;
    session.dispose();
    const again = await sessions.start(null, { sessionId: id });
    assert.equal(again.get('x'), 1);
    again.dispose();
    await sessions.close();
});

test('a save that waits too long for another process fails, and nothing is saved', async () => {
    const file = `${folder()}/sessions.db`;
    for (const threads of [0, 1]) {
        const logged = [];
        const storage = { url: `sqlite:${file}`, busyTimeout: '20ms' };
        const sessions = await Sessions.open({ storage, threads, log: text => logged.push(text) });
        const session = await sessions.start();
        await session.save();
        const other = new Database(file);
        other.exec('BEGIN IMMEDIATE');
        session.set('x', 1);
        await assert.rejects(session.save(), { code: 'storage', status: 503 });
        assert.match(logged.join(), /sessions\.db is busy: other processes wrote to it for longer than busyTimeout/);
        other.exec('COMMIT');
        other.close();
        await session.save();
        assert.equal((await sessions.start(null, { sessionId: session.id })).get('x'), 1);
        await sessions.close();
    }
});

test('a server that does not answer is an error of the store', async () => {
    const logged = [];
    const sessions = await Sessions.open({ storage: 'redis://127.0.0.1:1', log: text => logged.push(text) });
    await assert.rejects(
        (async () => {
            const session = await sessions.start();
            session.set('x', 1);
            await session.save();
        })(),
        { code: 'storage', status: 503 },
    );
    assert.match(logged.join(), /the session store failed/);
    await sessions.close();
});

test('sessions whose changes cannot be made in the other thread are not saved in part', async () => {
    const sessions = await Sessions.open({
        storage: `sqlite:${folder()}/sessions.db`,
        threads: 1,
        limits: { valueBytes: '1K', sessionBytes: '1K' },
    });
    const session = await sessions.start(null, { app: 'a' });
    const other = await session.application('b');
    session.set('x', 'x'.repeat(700));
    other.set('y', 'y'.repeat(700));
    await assert.rejects(session.save(), { code: 'too-large', status: 413 });
    other.delete('y');
    await session.save();
    const again = await sessions.start(null, { app: 'a', sessionId: session.id });
    assert.equal(again.get('x').length, 700);
    assert.equal((await again.application('b')).size, 0);
    await sessions.close();
});

test('messages, defaults, tokens and sessions of the owner are the same in this thread and in another', async () => {
    for (const threads of [0, 1]) {
        const sessions = await Sessions.open({ storage: `sqlite:${folder()}/sessions.db`, threads });
        const first = await sessions.start();
        assert.deepEqual([first.modified, first.accessed], [false, false]);
        assert.deepEqual([first.setDefault('a', 1), first.setDefault('a', 2)], [1, 1]);
        first.flash('saved');
        first.flash({ level: 'error' });
        first.setOwner('ann');
        assert.deepEqual([first.modified, first.accessed, first.keys()], [true, true, ['a']]);
        await first.save();
        assert.equal(first.modified, false);
        const token = await first.csrfToken();
        const { id, digest } = first;
        first.dispose();

        const again = await sessions.start(null, { sessionId: id });
        assert.equal(again.accessed, false);
        assert.deepEqual(await again.flashes(), ['saved', { level: 'error' }]);
        assert.equal(again.modified, true);
        assert.deepEqual(await again.flashes(), []);
        await again.save();
        const post = headers => ({ method: 'POST', url: '/', headers });
        await again.checkCsrf(post({}), token);
        await again.checkCsrf(post({ 'sec-fetch-site': 'same-origin' }));
        for (const [headers, given] of [[{}], [{}, 'x'], [{ origin: 'https://evil.example', host: 'a' }, token],
            [{ origin: 'http://a b', host: 'a b' }]]) {
            await assert.rejects(again.checkCsrf(post(headers), given), { code: 'cross-site', status: 403 });
        }
        const other = await sessions.start();
        other.setOwner('ann');
        assert.deepEqual(await other.entriesOf(digest), [['a', 1]]);
        await assert.rejects(other.entriesOf('none'), { code: 'invalid-name' });
        again.dispose();
        other.dispose();
        await sessions.close();
    }
});

test('where a session began is kept if the site wants it', async () => {
    const of = (address, agent) => ({ method: 'GET', url: '/', headers: { 'user-agent': agent }, socket: { remoteAddress: address } });
    for (const threads of [0, 1]) {
        const storage = `sqlite:${folder()}/sessions.db`;
        const sessions = await Sessions.open({ storage, threads, clientAddress: 'network', clientUserAgent: 6 });
        const session = await sessions.start(of('192.0.2.77', 'lynx/2.9'));
        await session.authenticate('ann', 'password');
        const other = await sessions.start(new Request('http://a/', { headers: { 'user-agent': 'w3m' } }));
        await other.save();
        await session.save();
        const { address, userAgent } = await session.metadata;
        assert.deepEqual([address, userAgent], ['192.0.2.0/24', 'lynx/2']);
        const { address: none, userAgent: w3m } = await other.metadata;
        assert.deepEqual([none, w3m], [undefined, 'w3m']);
        for await (const entry of sessions.manager().list('ann')) {
            assert.deepEqual([entry.address, entry.userAgent], ['192.0.2.0/24', 'lynx/2']);
        }
        session.dispose();
        other.dispose();
        await sessions.close();
    }
});
