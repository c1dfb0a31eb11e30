import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Sessions, withSession } from '../src/index.js';
import { memoryStore } from './memory.js';

/** Sessions in a store of which one function can be replaced. */
async function opened(options) {
    const store = memoryStore();
    const logged = [];
    const sessions = await Sessions.open({ storage: store, log: text => logged.push(text), ...options });
    return { store, sessions, logged };
}

async function stored(sessions) {
    const session = await sessions.start();
    session.set('x', 1);
    await session.save();
    const { id } = session;
    session.dispose();
    return id;
}

for (const [what, load] of [
    ['throws', () => { throw new Error('the disk is on fire'); }],
    ['throws what is no error', () => { throw null; }],
    ['is asynchronous', async () => { throw new Error('late'); }],
]) {
    test(`a store that ${what} fails one call, and never gives an empty session`, async () => {
        const { store, sessions, logged } = await opened({ instances: 1 });
        const bystander = await sessions.start();
        bystander.set('kept', true);
        const sessionId = await stored(sessions);
        const { load: works } = store;
        store.load = load;
        await assert.rejects(sessions.start(null, { sessionId }), { code: 'storage', status: 503 });
        assert.match(logged[0], /^the session store failed: load: /);
        store.load = works;
        assert.equal((await sessions.start(null, { sessionId })).get('x'), 1);
        await bystander.save();
        assert.equal((await sessions.start(null, { sessionId: bystander.id })).get('kept'), true, 'the instance lives on');
    });
}

test('a failure that a store tells keeps its case', async () => {
    const { store, sessions } = await opened();
    store.create = () => {
        throw { tag: 'too-many', val: 'ten a minute' };
    };
    const session = await sessions.start();
    await assert.rejects(session.save(), { code: 'too-many', status: 429 });
});

test('a trap ends the sessions of its instance, and the next request gets another instance', async () => {
    const { store, sessions } = await opened({ instances: 1 });
    const sessionId = await stored(sessions);
    const bystander = await sessions.start(null, { sessionId });
    const { load } = store;
    // Not an outcome: it cannot be passed to the component, which is a trap in the middle of a call.
    store.load = () => ({ tag: 'nonsense' });
    await assert.rejects(sessions.start(null, { sessionId }), { code: 'storage', status: 503 });
    store.load = load;
    assert.throws(() => bystander.set('x', 2), { code: 'storage' });
    await assert.rejects(bystander.save(), { code: 'storage' });
    bystander.dispose();
    const again = await sessions.start(null, { sessionId });
    assert.equal(again.get('x'), 1);
    again.set('x', 3);
    await again.save();
    assert.equal((await sessions.start(null, { sessionId })).get('x'), 3);
});

test('while there are instances, a trap ends no other request’s session', async () => {
    const { store, sessions } = await opened({ instances: 2 });
    const sessionId = await stored(sessions);
    const bystander = await sessions.start(null, { sessionId });
    const { load } = store;
    store.load = () => undefined;
    await assert.rejects(sessions.start(null, { sessionId }), { code: 'storage' });
    store.load = load;
    bystander.set('x', 2);
    await bystander.save();
    assert.equal((await sessions.start(null, { sessionId })).get('x'), 2);
});

test('abandoned sessions of an instance that has trapped are collected in silence', async () => {
    const { store, sessions } = await opened({ instances: 1 });
    const sessionId = await stored(sessions);
    await (async () => {
        const abandoned = await sessions.start(null, { sessionId });
        abandoned.set('x', 2);
    })();
    store.load = () => undefined;
    await assert.rejects(sessions.start(null, { sessionId }), { code: 'storage' });
    let failed;
    process.once('uncaughtException', error => (failed = error));
    for (let i = 0; i < 20; i += 1) {
        globalThis.gc?.();
        await new Promise(resolve => setImmediate(resolve));
    }
    assert.equal(failed, undefined);
});

test('sessions that are disposed of leave their instance free', async () => {
    const made = [];
    const { store, sessions } = await opened({ instances: 1 });
    const { load } = store;
    store.load = (...args) => {
        made.push(args);
        return load(...args);
    };
    const handle = withSession(sessions, async (request, session) => {
        session.set('x', new Uint8Array(500_000));
        return new Response();
    });
    // Together far more than the memory of an instance may grow to.
    for (let i = 0; i < 100; i += 1) {
        await handle(new Request('http://localhost/'));
    }
    const session = await sessions.start();
    {
        // What `using` does.
        session[Symbol.dispose]();
    }
    assert.throws(() => session.set('x', 1), { code: 'gone' });
});

test('changes that were never saved are told to the operator', async () => {
    const { sessions, logged } = await opened();
    const session = await sessions.start(null, { app: 'shop' });
    session.set('x', 1);
    session.dispose();
    assert.deepEqual(logged, ['app=shop: a session was changed and never saved: the changes are lost']);
});

test('a store that calls its session is refused', async () => {
    const { store, sessions } = await opened();
    const session = await sessions.start();
    session.set('x', 1);
    let inner;
    const { create } = store;
    store.create = (...args) => {
        try {
            session.get('x');
        } catch (error) {
            inner = error;
        }
        return create(...args);
    };
    await session.save();
    assert.match(inner.message, /a store called the session that calls it/);
    assert.equal((await sessions.start(null, { sessionId: session.id })).get('x'), 1);
});
