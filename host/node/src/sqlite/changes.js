// Changes of sessions, each within a transaction: the rules of host/sqlite/src/changes.rs.

import { INLINE } from '../../dist/sqlite.js';

/** The latest time that SQLite can store. Times beyond it are too far away to matter. */
const LATEST = 2n ** 63n - 1n;
export const seconds = time => (time > LATEST ? LATEST : time);
const optionalSeconds = time => (time === undefined ? null : seconds(time));
const max = (a, b) => (a > b ? a : b);
const min = (a, b) => (a < b ? a : b);
const length = text => BigInt(Buffer.byteLength(text));

/** Of several writes of one variable, the last counts. */
function lastOf(writes) {
    const last = new Map();
    for (const write of writes) {
        last.set(JSON.stringify([write.app, write.name]), write);
    }
    return [...last.values()];
}

const sizeOf = writes =>
    writes.reduce((size, { name, value }) => (value ? size + length(name) + BigInt(value.length) : size), 0n);

export function create(db, digest, record, given) {
    const writes = lastOf(given);
    if (!isNoFormer(db, digest, record.accessed)) {
        return 'exists';
    }
    const { changes, lastInsertRowid } = db.change(
        'create',
        digest,
        seconds(record.created),
        seconds(record.accessed),
        seconds(record.expires),
        optionalSeconds(record.absoluteExpiry),
        seconds(record.rotated),
        record.owner ?? null,
        1n,
        sizeOf(writes),
    );
    if (changes === 0) {
        return 'exists';
    }
    for (const write of writes) {
        writeVariable(db, lastInsertRowid, write, undefined);
    }
    return 'created';
}

function find(db, digest) {
    const row = db.get('find', digest);
    if (!row) {
        return undefined;
    }
    const [session, accessed, expires, absoluteExpiry, version, size] = row;
    return { session, accessed, expires, absoluteExpiry, version, size };
}

export function update(db, digest, change, expected, time) {
    const now = seconds(time);
    const found = find(db, digest);
    if (!found || found.expires <= now) {
        return { tag: 'gone' };
    }
    const { session, accessed, expires, absoluteExpiry, version } = found;
    if (expected !== undefined && expected !== version) {
        return { tag: 'conflict', val: version };
    }

    // Everything that can refuse the change comes before the first write.
    const writes = lastOf(change.writes);
    let size = found.size + sizeOf(writes);
    for (const app of change.clears) {
        size -= db.get('app_size', session, app)[0];
    }
    const olds = writes.map(({ app, name }) => {
        const old = change.clears.includes(app) ? undefined : db.get('old_value', session, app, name);
        return old && { bytes: old[0], large: old[1] };
    });
    writes.forEach(({ name }, i) => {
        size -= olds[i] ? length(name) + olds[i].bytes : 0n;
    });
    if (size > found.size && size > change.maxSize) {
        return { tag: 'too-large', val: size };
    }
    // jco tells an option of an option as { tag, val }.
    const newOwner = change.owner.tag === 'some' ? (change.owner.val ?? null) : null;
    if (newOwner !== null && change.maxOwned !== undefined && !db.get('is_owned', session, newOwner)) {
        const [others] = db.get('count_owned', newOwner, now);
        if (others >= change.maxOwned) {
            return { tag: 'too-many-owned', val: others };
        }
    }
    const { rotation } = change;
    if (rotation && (db.get('find', rotation.to) || !isNoFormer(db, rotation.to, now))) {
        throw { tag: 'unavailable', val: 'the new digest of a session is taken' };
    }

    for (const app of change.clears) {
        db.change('clear_large', session, app);
        db.change('clear', session, app);
    }
    writes.forEach((write, i) => writeVariable(db, session, write, olds[i]));
    const { lifetime } = change;
    const changes = change.clears.length > 0 || writes.length > 0 || change.owner.tag === 'some';
    const next = changes || lifetime ? version + 1n : version;
    db.change('change', session, max(accessed, now), next, size);
    if (lifetime) {
        const end = lifetime.absoluteExpiry;
        db.change('set_lifetime', session, min(seconds(lifetime.expires), seconds(end ?? LATEST)), optionalSeconds(end));
    } else if (change.expires !== undefined) {
        const later = min(seconds(change.expires), absoluteExpiry ?? LATEST);
        if (later > expires) {
            db.change('set_expires', session, later);
        }
    }
    if (change.owner.tag === 'some') {
        db.change('set_owner', session, newOwner);
    }
    if (rotation) {
        rotate(db, session, digest, rotation, now, change.remember);
    }
    return { tag: 'committed', val: next };
}

/** Writes or removes one variable. Long values are in a table of their own. */
function writeVariable(db, session, { app, name, value }, old) {
    const large = old?.large ?? null;
    if (value && value.length > INLINE) {
        let row = large;
        if (row === null) {
            row = db.change('insert_large', value).lastInsertRowid;
        } else {
            db.change('replace_large', row, value);
        }
        db.change('write', session, app, name, null, row, BigInt(value.length));
        return;
    }
    if (large !== null) {
        db.change('delete_large', large);
    }
    if (value) {
        db.change('write', session, app, name, value, null, null);
    } else if (old) {
        db.change('delete', session, app, name);
    }
}

/** Gives a session its new digest, which is free. */
function rotate(db, session, from, { to, grace }, now, remember) {
    db.change('rotation', session, to, now);
    if (!grace) {
        db.change('seal', session);
        leaveTombstone(db, from, now, remember);
        return;
    }
    const forget = seconds(grace.until + BigInt(remember));
    if (forget > now) {
        db.change('remember', from, session, seconds(grace.until), grace.nonce, forget);
    }
}

/** Whether a digest has no tombstone. One that has expired is removed. */
function isNoFormer(db, digest, now) {
    return !db.get('is_former', digest) || db.change('forget', digest, seconds(now)).changes > 0;
}

function leaveTombstone(db, digest, now, remember) {
    if (remember > 0) {
        db.change('remember', digest, null, null, null, seconds(now + BigInt(remember)));
    }
}

/** Removes a session with its variables. */
function remove(db, session) {
    db.change('remove_large', session);
    db.change('remove_variables', session);
    db.change('seal', session);
    db.change('remove', session);
}

export function destroy(db, digest, only, time, remember) {
    const now = seconds(time);
    const found = find(db, digest);
    if (!found) {
        return false;
    }
    const isLive = found.expires > now;
    const isMeant =
        only.tag === 'any' ||
        (only.tag === 'expired' && !isLive) ||
        (only.tag === 'owned' && isLive && db.get('is_owned', found.session, only.val) !== undefined);
    if (!isMeant) {
        return false;
    }
    remove(db, found.session);
    if (isLive) {
        leaveTombstone(db, digest, now, remember);
    }
    return isLive;
}

/** Ends one session if it is live and still the owner's. */
export function endOwned(db, owner, session, time, remember) {
    const now = seconds(time);
    const row = db.get('digest_of_owned', session, owner, now);
    if (!row) {
        return false;
    }
    remove(db, session);
    leaveTombstone(db, row[0], now, remember);
    return true;
}

/** Removes at most `limit` expired sessions and tombstones and returns how many. */
export function cleanup(db, now, limit) {
    const expired = db.all('expired', seconds(now), BigInt(limit));
    for (const [session] of expired) {
        remove(db, session);
    }
    return expired.length + db.change('forget_some', seconds(now), BigInt(limit - expired.length)).changes;
}
