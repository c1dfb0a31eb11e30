// A thread that runs the component: messages are calls, and the answers go back with their numbers.

import { parentPort, workerData } from 'node:worker_threads';

import { SessionError } from '../dist/sdk.js';
import { isAnswer } from './component.js';
import { openPool } from './engine.js';

const sessions = new Map();
let count = 0;

const log = text => parentPort.postMessage({ log: text });
const opened = openPool({ ...workerData, log });
// Each call answers with it.
opened.catch(() => {});

/** Gives a session a number, and tells what its mirror has to know. */
function keep(session) {
    const number = (count += 1);
    sessions.set(number, session);
    return { number, entries: session.entries(), app: session.app(), ...about(session) };
}

const about = session => ({
    id: session.id(),
    digest: session.digest(),
    created: session.created(),
    expiresAt: session.expiresAt(),
    owner: session.owner(),
});

const CALLS = {
    start: (pool, options) => keep(pool.start(options)),
    manage: (pool, name, args) => pool.manage(name, args),
    /** Makes the changes that a mirror has collected, then the call that has to reach the store. */
    commit(_, number, changes, method, args) {
        try {
            for (const [of, name, values] of changes) {
                sessions.get(of)[name](...values);
            }
        } catch (error) {
            throw Object.assign(error, { isPartial: true });
        }
        const session = sessions.get(number);
        const answer = session[method](...args);
        if (['application', 'reserve'].includes(method)) {
            return { answer: keep(answer) };
        }
        return { answer, about: method === 'destroy' ? undefined : about(session) };
    },
    dispose(_, numbers) {
        for (const number of numbers) {
            sessions.get(number)?.dispose();
            sessions.delete(number);
        }
    },
    close: pool => pool.close(),
};

parentPort.on('message', async ({ call, name, args }) => {
    let reply;
    try {
        reply = { answer: CALLS[name](await opened, ...args) };
    } catch (error) {
        const { code, message, isPartial } = error;
        const isOurs = error instanceof SessionError;
        const told = isAnswer(error) ? { payload: error.payload } : { error: { code: isOurs ? code : undefined, message } };
        reply = { ...told, isPartial };
    }
    parentPort.postMessage({ call, ...reply });
});
