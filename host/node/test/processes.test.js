import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';

import { STORES, Visitor, start } from './support.js';

for (const [name, storage] of STORES) {
    describe(`processes with ${name}`, () => {
        test('two processes share one store, and kill -9 loses no acknowledged save', async () => {
            const options = JSON.stringify({ storage: storage() });
            const [first, second] = await Promise.all([start('site.js', options), start('site.js', options)]);
            const [here, there] = [new Visitor(first.base), new Visitor(second.base)];
            await here.get('/');
            there.cookies = here.cookies;
            const names = Array.from({ length: 10 }, (_, i) => `v${i}`);
            const replies = await Promise.all(names.map((one, i) => (i % 2 ? here : there).get(`/set/${one}/1`)));
            assert.ok(replies.every(({ status }) => status === 200));
            assert.equal(Object.keys(JSON.parse((await here.get('/all')).body)).length, 11);

            // Saves go on while the process is killed: those that it answered are there.
            const answered = [];
            const killed = once(first.child, 'exit');
            const saving = (async () => {
                for (let i = 0; ; i += 1) {
                    const { status } = await here.get(`/set/k${i}/1`);
                    assert.equal(status, 200);
                    answered.push(`k${i}`);
                }
            })().catch(() => {});
            while (answered.length < 10) {
                await new Promise(resolve => setTimeout(resolve, 5));
            }
            first.child.kill('SIGKILL');
            await Promise.all([killed, saving]);
            const all = JSON.parse((await there.get('/all')).body);
            assert.deepEqual(answered.filter(one => !(one in all)), []);
            assert.equal((await there.get('/logout')).status, 200);
        });
    });
}
