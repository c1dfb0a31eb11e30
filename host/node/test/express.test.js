import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { after, describe, test } from 'node:test';

import express from 'express';

import { Sessions, checkSameOrigin, session } from '../src/index.js';
import { site } from './pages.js';
import { STORES, Visitor, folder, listen } from './support.js';

const FIFTY = Array.from({ length: 50 }, (_, i) => `v${i}`);

for (const [name, storage] of STORES) {
    describe(`express with ${name}`, () => {
        const serve = async options => {
            const { app, sessions, gate } = site({ storage: storage(), ...options });
            after(async () => {
                await sessions.manager().dropTables().catch(() => {});
                await sessions.close();
            });
            /** A request that has changed the session, and is answered after the gate opens. */
            const hold = async (visitor, name) => {
                const held = once(gate, 'held');
                const reply = visitor.get(`/hold/${name}`);
                await held;
                return async () => {
                    gate.emit('open');
                    return reply;
                };
            };
            return { base: await listen(createServer(app)), sessions, hold };
        };

        test('a visitor is counted, and the cookie is sent once', async () => {
            const { base } = await serve();
            const visitor = new Visitor(base);
            const first = await visitor.get('/');
            assert.equal(first.body, 'visit 1, new true');
            assert.match(first.headers.get('set-cookie'), /^session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/);
            assert.equal(first.headers.get('cache-control'), 'no-store');
            assert.equal(first.headers.get('vary'), 'Cookie');
            const second = await visitor.get('/');
            assert.equal(second.body, 'visit 2, new false');
            assert.equal(second.headers.get('set-cookie'), null);
            assert.equal((await new Visitor(base).get('/')).body, 'visit 1, new true');
        });

        test('fifty parallel requests keep fifty variables', async () => {
            const { base } = await serve();
            const visitor = new Visitor(base);
            await visitor.get('/');
            const replies = await Promise.all(FIFTY.map(one => visitor.get(`/set/${one}/${one}`)));
            assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
            const all = JSON.parse((await visitor.get('/all')).body);
            assert.deepEqual(all, { visits: 1, ...Object.fromEntries(FIFTY.map(one => [one, one])) });
        });

        test('fifty parallel additions are all counted', async () => {
            const { base } = await serve();
            const visitor = new Visitor(base);
            await visitor.get('/');
            const replies = await Promise.all(FIFTY.map(() => visitor.get('/')));
            assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
            assert.equal(JSON.parse((await visitor.get('/all')).body).visits, 51);
        });

        test('a save in flight at a logout is refused and brings nothing back', async () => {
            const { base, hold } = await serve();
            const visitor = new Visitor(base);
            await visitor.get('/');
            const { cookie } = visitor;
            const finish = await hold(visitor, 'late');
            const logout = await visitor.get('/logout');
            assert.equal(logout.body, 'logged out');
            assert.match(logout.headers.get('set-cookie'), /^session=; .*Max-Age=0/);
            const { status, body, headers } = await finish();
            assert.equal(status, 409);
            assert.match(body, /^gone: /);
            assert.equal(headers.get('set-cookie'), null);
            const again = new Visitor(base);
            again.cookies.set('session', cookie.slice('session='.length));
            assert.equal((await again.get('/')).body, 'visit 1, new true');
        });

        test('a login rotates the id and ends the old one', async () => {
            const { base, sessions } = await serve();
            const visitor = new Visitor(base);
            await visitor.get('/');
            const old = new Visitor(base);
            old.cookies = new Map(visitor.cookies);
            assert.equal((await visitor.get('/login/ada')).status, 302);
            assert.notEqual(visitor.cookie, old.cookie);
            assert.equal(JSON.parse((await visitor.get('/all')).body).user, 'ada');
            assert.equal((await old.get('/')).body, 'visit 1, new true');
            const other = new Visitor(base);
            await other.get('/login/ada');
            const listed = [];
            for await (const { owner } of sessions.manager().list('ada')) {
                listed.push(owner);
            }
            assert.deepEqual(listed, ['ada', 'ada']);
            assert.equal((await visitor.get('/everywhere')).body, 'ended 1');
            assert.equal((await other.get('/')).body, 'visit 1, new true');
            assert.equal(await sessions.manager().destroyOwned('ada'), 1);
        });

        test('with strict the second of two saves gets a conflict', async () => {
            const { base, hold } = await serve({ strict: true });
            const visitor = new Visitor(base);
            await visitor.get('/');
            const finish = await hold(visitor, 'a');
            assert.equal((await visitor.get('/set/b/2')).status, 200);
            const { status, body } = await finish();
            assert.equal(status, 409);
            assert.match(body, /^conflict: /);
        });

        test('a variable that breaks a rule is refused where it is set', async () => {
            const { sessions } = await serve();
            const one = await sessions.start();
            assert.throws(() => one.set('x'.repeat(33), 1), { code: 'invalid-name', status: 500 });
            assert.throws(() => one.set('x', 'x'.repeat(2 ** 20 + 1)), { code: 'too-large', status: 413 });
            assert.throws(() => one.set('x', new Date()), { code: 'invalid-value' });
            assert.equal(one.set('x', 1).get('x'), 1);
            await one.save();
            one.dispose();
            assert.throws(() => one.get('x'), { code: 'gone' });
        });

        test('every kind of value comes back as it was stored', async () => {
            const { sessions } = await serve();
            const values = {
                null: null, true: true, integer: -1, large: 2n ** 62n, real: 1.5, minus: -0, nan: NaN, text: '€ 😀 \0',
                bytes: new Uint8Array([0, 255]), long: 'x'.repeat(5000),
                json: { list: [1, 2.5, 'é', null, [true], 9007199254740993n], __proto__: null },
            };
            const first = await sessions.start();
            for (const [key, value] of Object.entries(values)) {
                first.set(key, value);
            }
            await first.save();
            const again = await sessions.start(null, { sessionId: first.id });
            assert.equal(again.created, false);
            assert.equal(again.size, Object.keys(values).length);
            for (const [key, value] of Object.entries(values)) {
                const found = again.get(key);
                assert.deepEqual(key === 'json' ? { ...found, __proto__: null } : found, value, key);
            }
            assert.equal(again.take('text'), values.text);
            assert.equal(again.delete('large'), true);
            await again.save();
            const last = await sessions.start(null, { sessionId: first.id });
            assert.equal(last.has('text') || last.has('large'), false);
            last.clear();
            last.set('only', 1);
            await last.save();
            assert.deepEqual(last.keys(), ['only']);
            assert.ok(last.expiresAt > new Date());
            await last.destroy();
            for (const one of [first, again, last]) {
                one.dispose();
            }
        });

        test('applications of one session keep their variables apart', async () => {
            const { sessions } = await serve();
            const first = await sessions.start(null, { app: 'a' });
            const shop = await first.application('shop');
            shop.set('x', 1);
            first.set('x', 2);
            await first.save();
            const auth = await first.reserve('auth', 'secret');
            auth.set('user', 'ada');
            await assert.rejects(first.application('auth'), { code: 'reserved', status: 500 });
            await auth.save();
            await auth.release('auth');
            const again = await sessions.start(null, { app: 'shop', sessionId: first.id });
            assert.deepEqual([again.app, again.get('x')], ['shop', 1]);
            assert.equal((await again.application('auth')).get('user'), 'ada');
            first.dispose();
            again.dispose();
        });
    });
}

describe('responses', () => {
    const store = `sqlite:${folder()}/responses.db`;
    const wrong = [];

    /** Serves a handler; `threads` makes the save asynchronous. */
    async function serve(threads, handler, onError) {
        const app = express();
        const middleware = session({ storage: store, threads });
        after(() => middleware.sessions.close());
        app.use(middleware);
        app.use(handler);
        app.use(
            onError ??
                ((error, request, response, next) => {
                    wrong.push(error);
                    return response.headersSent ? next(error) : response.status(error.status ?? 500).send(error.code);
                }),
        );
        return new Visitor(await listen(createServer(app)));
    }

    for (const threads of [0, 1]) {
        const where = threads === 0 ? 'in this thread' : 'in another thread';

        test(`the session is saved before the first byte, however the response starts, ${where}`, async () => {
            const starts = {
                '/end': response => response.end('done'),
                '/send': response => response.send('done'),
                '/write': response => {
                    response.write('do');
                    response.end('ne');
                },
                '/head': response => response.writeHead(200, 'Fine', { 'set-cookie': ['own=1'], 'x-own': 'yes' }).end('done'),
                '/list': response => response.writeHead(200, ['Set-Cookie', 'own=1', 'Set-Cookie', 'other=2']).end('done'),
                '/pipe': response => void Readable.from(['do', 'ne']).pipe(response),
                '/flush': response => {
                    response.flushHeaders();
                    setTimeout(() => response.end('done'), 20);
                },
                '/save': async response => {
                    await response.req.session.save();
                    response.end('done');
                },
            };
            const visitor = await serve(threads, (request, response) => {
                request.session.set('path', request.path);
                starts[request.path](response);
            });
            for (const path of Object.keys(starts)) {
                visitor.cookies.clear();
                const { status, headers, body } = await visitor.get(path);
                assert.deepEqual([status, body], [200, 'done'], path);
                assert.equal(headers.getSetCookie().filter(cookie => cookie.startsWith('session=')).length, 1, path);
                assert.equal(headers.get('cache-control'), 'no-store', path);
                if (path === '/head') {
                    assert.deepEqual([headers.get('x-own'), headers.getSetCookie().length], ['yes', 2]);
                }
                if (path === '/list') {
                    assert.equal(headers.getSetCookie().length, 3);
                }
            }
        });

        test(`a large response is sent whole, ${where}`, async () => {
            const visitor = await serve(threads, (request, response) => {
                Readable.from(Array.from({ length: 300 }, () => Buffer.alloc(10_000, 'x'))).pipe(response);
            });
            assert.equal((await visitor.get('/')).body.length, 3_000_000);
        });

        test(`an error of a save is the response's, and the handler's is not sent, ${where}`, async () => {
            const visitor = await serve(threads, async (request, response) => {
                if (request.path === '/late') {
                    const other = await fetch(`${visitor.base}/end`, { headers: { cookie: request.headers.cookie } });
                    assert.equal(other.status, 200);
                    request.session.set('late', true);
                    response.setHeader('x-page', '1');
                    response.write('this is ');
                    await new Promise(resolve => setTimeout(resolve, 50));
                    response.end('not sent');
                } else if (request.path === '/end') {
                    await request.session.destroy();
                    response.end('ended');
                } else {
                    response.end('page');
                }
            });
            await visitor.get('/');
            const { status, body } = await visitor.get('/late');
            assert.deepEqual([status, body], [409, 'gone']);
        });
    }

    test('an application’s own Cache-Control stands where no cookie is set', async () => {
        const visitor = await serve(0, (request, response) => response.set('cache-control', 'public').end());
        assert.equal((await visitor.get('/')).headers.get('cache-control'), 'no-store');
        assert.equal((await visitor.get('/')).headers.get('cache-control'), 'public');
    });

    test('an error of a handler reaches the error handler', async () => {
        const visitor = await serve(0, () => {
            throw Object.assign(new Error('broken'), { status: 418, code: 'teapot' });
        });
        assert.deepEqual([(await visitor.get('/')).status], [418]);
    });

    test('a cookie that can no longer be sent is an error', async () => {
        let error;
        const visitor = await serve(0, async (request, response) => {
            response.write('started');
            request.session.regenerateId();
            error = await request.session.save().catch(error => error);
            response.end();
        });
        await visitor.get('/');
        assert.match(error.message, /the response has started/);
    });

    test('Secure follows the protocol as express knows it', async () => {
        const app = express();
        app.set('trust proxy', true);
        const middleware = session({ storage: store });
        after(() => middleware.sessions.close());
        app.use(middleware, (request, response) => response.end());
        const visitor = new Visitor(await listen(createServer(app)));
        const secure = await visitor.send('/', { headers: { 'x-forwarded-proto': 'https' } });
        assert.match(secure.headers.get('set-cookie'), /; Secure/);
        const plain = await new Visitor(visitor.base).get('/');
        assert.doesNotMatch(plain.headers.get('set-cookie'), /; Secure/);
    });

    test('a POST of another site is refused', async () => {
        const visitor = await serve(0, (request, response) => {
            checkSameOrigin(request);
            response.end('from here');
        });
        const post = headers => visitor.send('/', { method: 'POST', headers });
        assert.equal((await post({})).status, 200);
        assert.equal((await post({ 'sec-fetch-site': 'cross-site' })).status, 403);
        assert.equal((await post({ origin: 'http://evil.example' })).status, 403);
        assert.equal((await post({ origin: visitor.base })).status, 200);
        assert.equal((await visitor.send('/', { headers: { 'sec-fetch-site': 'cross-site' } })).status, 200);
    });

    test('middleware on plain node:http', async () => {
        const sessions = await Sessions.open({ storage: store });
        after(() => sessions.close());
        const middleware = session(sessions);
        const base = await listen(
            createServer((request, response) =>
                middleware(request, response, error => response.end(error ? String(error) : `visit ${request.session.add('n')}`)),
            ),
        );
        const visitor = new Visitor(base);
        await visitor.get('/');
        assert.equal((await visitor.get('/')).body, 'visit 2');
    });
});
