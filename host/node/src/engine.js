// Where the component runs: in this thread, or in threads of its own.

import { Pool } from './pool.js';
import { openProvider } from './provider.js';
import { locate } from './settings.js';
import { openSqlite } from './sqlite/store.js';
import { SessionError } from '../dist/sdk.js';

/** Removed by a cleanup for each start that there is on average between two cleanups, as the providers do. */
const REMOVED_PER_START = 2;

/** Opens the store of a storage URL, in the thread that calls it. */
export async function openStore({ storage, createTables = true, environment, defaults, log }) {
    const { url, ...options } = locate(storage);
    const scheme = url.slice(0, url.indexOf(':') + 1);
    switch (scheme) {
        case 'sqlite:': {
            const cleanupLimit = Math.ceil(REMOVED_PER_START / Math.max(defaults.cleanup, 1e-6));
            return openSqlite({ ...options, url }, { createTables, cleanupLimit });
        }
        case 'files:':
            return openProvider('files', environment, url, log);
        case 'redis:':
            return openProvider('redis', environment, url, log);
        case 'rediss:':
            throw new SessionError(
                'invalid-option',
                'storage: this package has no TLS: use redis:// and the address of a tunnel on this machine, such as stunnel',
            );
        default:
            throw new SessionError('invalid-option', `storage: '${scheme || url}' is none of sqlite:PATH, files:DIRECTORY, redis://HOST`);
    }
}

/**
 * How many threads a store gets unless the options say. Both providers do their input and output by functions that block, each
 * of which waits for yet another thread, that of preview2-shim; in this thread they would halt the event loop. SQLite answers in
 * less time than a message to a thread takes.
 */
export function threadsFor(storage) {
    const [scheme] = locate(storage).url.split(':');
    return { files: 2, redis: 4 }[scheme] ?? 0;
}

/** The pool of a thread, with its store. */
export async function openPool(options) {
    return new Pool({ ...options, store: await openStore(options) });
}
