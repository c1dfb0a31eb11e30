import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Sessions, withSession } from '../src/index.js';
import { STORES } from './support.js';

const cookieOf = response => response.headers.getSetCookie().map(line => line.split(';')[0]).join('; ');

for (const [name, storage] of STORES) {
    describe(`fetch with ${name}`, () => {
        test('a handler gets the session, and its response the headers', async () => {
            const sessions = await Sessions.open({ storage: storage() });
            const handle = withSession(sessions, async (request, session, greeting) => {
                const { pathname } = new URL(request.url);
                if (pathname === '/logout') {
                    await session.destroy();
                    return Response.redirect('http://localhost/');
                }
                if (pathname === '/fail') {
                    session.set('failed', true);
                    throw new Error('no page');
                }
                return new Response(`${greeting} ${session.add('visits')} ${session.has('failed')}`);
            });
            const first = await handle(new Request('https://localhost/'), 'hello');
            assert.equal(await first.text(), 'hello 1 false');
            assert.match(first.headers.get('set-cookie'), /; Secure/);
            const headers = { cookie: `other=1; ${cookieOf(first)}` };
            const again = () => handle(new Request('https://localhost/', { headers }), 'hello');
            await assert.rejects(handle(new Request('https://localhost/fail', { headers })), { message: 'no page' });
            assert.equal(await (await again()).text(), 'hello 2 false', 'what a handler changed before it failed is not saved');
            const logout = await handle(new Request('https://localhost/logout', { headers }));
            assert.equal(logout.status, 302);
            assert.match(logout.headers.get('set-cookie'), /Max-Age=0/);
            assert.equal(await (await again()).text(), 'hello 1 false');
            await sessions.manager().dropTables();
            await sessions.close();
        });
    });
}
