// Sessions in SQLite, through better-sqlite3, in the tables of the driver in Rust: both may use one file at the same time.

import { SessionError } from '../../dist/sdk.js';
import * as changes from './changes.js';
import { Database } from './database.js';
import { milliseconds } from './units.js';

const { seconds } = changes;

/** How many sessions one transaction removes, so that no save waits for many. */
const BATCH = 16;

const OPTIONS = ['url', 'table', 'tables', 'synchronous', 'busyTimeout'];

/** Opens the store of a URL `sqlite:PATH`. */
export function openSqlite(options, { createTables, cleanupLimit }) {
    const { url, table, tables, path, ...rest } = checked(options);
    const databases = new Map([table, ...tables].map(name => [name, new Database(path, name, rest)]));

    const at = ({ storage, table: name = table }) => {
        const database = storage === undefined ? databases.get(name) : undefined;
        if (!database) {
            const what = storage === undefined ? `the table ${name} is not` : `the store ${storage} is not`;
            throw { tag: 'unknown-location', val: `${what} one of those in storage, which has the tables ${[...databases.keys()].join(', ')}` };
        }
        return database;
    };
    /** Calls `call`, once more after tables that were missing are created. */
    const withTables = (location, call) => {
        const database = at(location);
        try {
            return call(database);
        } catch (failure) {
            if (!createTables || failure?.tag !== 'missing-tables') {
                throw failure;
            }
            database.createTables();
            return call(database);
        }
    };
    const read = (location, action) => withTables(location, database => database.run(action));
    const write = (location, action) => withTables(location, database => database.write(action));
    const cleanup = (location, now, limit) => {
        let removed = 0;
        while (removed < limit) {
            const batch = Math.min(BATCH, limit - removed);
            const more = write(location, db => changes.cleanup(db, now, batch));
            removed += more;
            if (more < batch) {
                break;
            }
        }
        return removed;
    };

    return {
        load(location, digest, app, now, inlineBytes) {
            const loaded = read(location, db => load(db, digest, app, now, inlineBytes));
            if (loaded.tag === 'ended') {
                write(location, db => db.change('count_reuse', digest));
            }
            return loaded;
        },
        fetch: (location, digest, app, name, now) => read(location, db => fetch(db, digest, app, name, now)),
        create: (location, digest, record, writes) => write(location, db => changes.create(db, digest, record, writes)),
        update: (location, digest, change, expected, now) =>
            write(location, db => changes.update(db, digest, change, expected, now)),
        destroy: (location, digest, only, now, remember) =>
            write(location, db => changes.destroy(db, digest, only, now, remember)),
        destroyOwned(location, owner, except, now, remember) {
            const owned = read(location, db => db.snapshot(() => ownedBy(db, owner, except, now)));
            let ended = 0n;
            for (let i = 0; i < owned.length; i += BATCH) {
                const batch = owned.slice(i, i + BATCH);
                write(location, db => {
                    for (const session of batch) {
                        ended += changes.endOwned(db, owner, session, now, remember) ? 1n : 0n;
                    }
                });
            }
            return ended;
        },
        cleanup,
        cleanupLater(location, now) {
            // After the response, a batch at a time, between which requests are answered.
            let left = cleanupLimit;
            const step = () => {
                try {
                    const removed = cleanup(location, now, BATCH);
                    left -= removed;
                    if (removed === BATCH && left > 0) {
                        setImmediate(step).unref();
                    }
                } catch {
                    // The next cleanup tries again.
                }
            };
            setImmediate(step).unref();
        },
        count: (location, now) => read(location, db => db.get('count', seconds(now))[0]),
        list: (location, now, owner, after = new Uint8Array(), limit) =>
            read(location, db => {
                const rows =
                    owner === undefined
                        ? db.all('list', after, seconds(now), BigInt(limit))
                        : db.all('list_owned', after, seconds(now), BigInt(limit), owner);
                return rows.map(row => ({ record: toRecord(row), digest: row[8] }));
            }),
        createTables: location => at(location).createTables(),
        dropTables: location => at(location).dropTables(),
        tablesExist: location => at(location).tablesExist(),
        close: () => databases.forEach(database => database.close()),
    };
}

function checked({ table = 'Session', tables = [], synchronous = 'NORMAL', busyTimeout = '5s', ...options }) {
    const refuse = why => {
        throw new SessionError('invalid-option', why);
    };
    const unknown = Object.keys(options).find(name => !OPTIONS.includes(name));
    if (unknown) {
        refuse(`storage.${unknown}: a store in SQLite has no such option; its options are ${OPTIONS.join(', ')}`);
    }
    for (const name of [table, ...tables]) {
        if (typeof name !== 'string' || !/^[A-Za-z][A-Za-z0-9_]{0,47}$/.test(name)) {
            refuse(`storage.table: '${name}' is not a table name: a letter, then letters, digits and _, at most 48 characters`);
        }
        if (/^sqlite_/i.test(name)) {
            refuse(`storage.table: ${name} cannot be the table: SQLite reserves names that begin with sqlite_`);
        }
    }
    if (!['NORMAL', 'FULL'].includes(String(synchronous).toUpperCase())) {
        refuse('storage.synchronous is NORMAL (saves survive the end of the process) or FULL (also that of the machine)');
    }
    const path = options.url.slice('sqlite:'.length);
    if (path === ':memory:') {
        refuse('storage: SQLite in memory is not for sessions, which would end with the process');
    }
    if (path === '' || path.startsWith('//')) {
        refuse('storage: a storage URL of SQLite is sqlite:PATH, without // before the path');
    }
    return {
        ...options,
        table,
        tables,
        path,
        synchronous: String(synchronous).toUpperCase(),
        busyTimeout: milliseconds(busyTimeout, why => refuse(`storage.busyTimeout: ${why}`)),
    };
}

/** Reads a record from the first eight columns. */
function toRecord([created, accessed, expires, absoluteExpiry, rotated, owner, version, size]) {
    return {
        created,
        accessed,
        expires,
        absoluteExpiry: absoluteExpiry ?? undefined,
        rotated,
        owner: owner ?? undefined,
        version,
        size,
    };
}

function load(db, digest, app, now, inlineBytes) {
    const found = loadCurrent(db, digest, app, now, inlineBytes);
    if (found) {
        return found;
    }
    return db.snapshot(() => {
        const former = findFormer(db, digest, now);
        if (!former) {
            return { tag: 'absent' };
        }
        const led = former.leadsTo && loadCurrent(db, former.leadsTo, app, now, inlineBytes);
        return led?.tag === 'found' ? { tag: 'found', val: { ...led.val, renewal: former.nonce } } : { tag: 'ended' };
    });
}

/** Loads a session by its current digest. */
function loadCurrent(db, digest, app, now, inlineBytes) {
    const rows = db.all('load', digest, app, BigInt(inlineBytes));
    if (rows.length === 0) {
        return undefined;
    }
    const record = toRecord(rows[0]);
    if (record.expires <= seconds(now)) {
        return { tag: 'expired' };
    }
    const [details, variables] = [[], []];
    for (const row of rows) {
        // A session without details, and without variables of this application, has one row, without a name.
        const [name, bytes, value, isDetail] = row.slice(8);
        if (name !== null) {
            const stored = value === null ? { tag: 'large', val: bytes } : { tag: 'inline', val: value };
            (isDetail ? details : variables).push({ name, value: stored });
        }
    }
    return { tag: 'found', val: { record, details, variables, renewal: undefined } };
}

function fetch(db, digest, app, name, now) {
    const fetchCurrent = digest => db.get('fetch', digest, app, name, seconds(now))?.[0];
    return fetchCurrent(digest) ?? db.snapshot(() => {
        const leadsTo = findFormer(db, digest, now)?.leadsTo;
        return leadsTo && fetchCurrent(leadsTo);
    });
}

/** A tombstone: within its grace, with the current digest of its session. */
function findFormer(db, digest, time) {
    const now = seconds(time);
    const row = db.get('former', digest);
    if (!row || row[3] <= now) {
        return undefined;
    }
    const [session, until, nonce] = row;
    if (session === null || until === null || until <= now) {
        return {};
    }
    return { leadsTo: db.get('digest_of', session)?.[0], nonce };
}

/** The numbers of an owner's live sessions but the one that the digest `except` leads to. */
function ownedBy(db, owner, except, now) {
    const spared = except && db.get('leads_to', except, seconds(now))?.[0];
    const owned = db.all('owned', owner, seconds(now)).map(([session]) => session);
    return owned.filter(session => session !== spared);
}
