// `lemon:session/storage` in memory: the whole contract in the plainest way, for hosts to start from.
//
// Numbers of 64 bits are BigInt, digests and values Uint8Array. A `failure` is thrown as what it is, `{ tag, val }`.

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const max = (a, b) => (a > b ? a : b);
const min = (a, b) => (a < b ? a : b);
const sizeOf = (variables) => {
    let size = 0n;
    for (const own of variables.values()) {
        for (const [name, value] of own) size += BigInt(Buffer.byteLength(name) + value.length);
    }
    return size;
};

export class Memory {
    /** What a digest means: `{ session }`, or a tombstone `{ leads, until, nonce, expires }`. */
    #entries = new Map();

    constructor() {
        // The component calls functions, not methods.
        for (const name of Object.getOwnPropertyNames(Memory.prototype)) {
            if (name !== 'constructor') this[name] = this[name].bind(this);
        }
    }

    load(location, digest, app, now, inlineBytes) {
        const entry = this.#entries.get(hex(digest));
        const session = this.#follow(entry, now);
        if (session) {
            const of = (app) => [...(session.variables.get(app) ?? [])]
                .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
                .map(([name, val]) => ({ name, value: { tag: 'inline', val } }));
            // The application with the empty name has the details, and no variables.
            const [details, variables] = [of(''), app === '' ? [] : of(app)];
            return { tag: 'found', val: { record: { ...session.record }, details, variables, renewal: entry.nonce } };
        }
        if (!entry || (!entry.session && entry.expires <= now)) return { tag: 'absent' };
        return { tag: entry.session ? 'expired' : 'ended' };
    }

    fetch(location, digest, app, name, now) {
        return this.#follow(this.#entries.get(hex(digest)), now)?.variables.get(app)?.get(name);
    }

    create(location, digest, record, writes) {
        if (this.#isTaken(hex(digest), record.accessed)) return 'exists';
        const session = { digest, record: { ...record, version: 1n }, variables: new Map() };
        this.#write(session.variables, writes);
        session.record.size = sizeOf(session.variables);
        this.#entries.set(hex(digest), { session });
        return 'created';
    }

    update(location, digest, change, expected, now) {
        const session = this.#live(hex(digest), now);
        if (!session) return { tag: 'gone' };
        const before = session.record;
        if (expected !== undefined && expected !== before.version) return { tag: 'conflict', val: before.version };

        const variables = new Map([...session.variables].map(([app, own]) => [app, new Map(own)]));
        for (const app of change.clears) variables.delete(app);
        this.#write(variables, change.writes);
        const size = sizeOf(variables);
        if (size > before.size && size > change.maxSize) return { tag: 'too-large', val: size };
        // `owner` is an option of an option: whether it changes, and whether there is one.
        const owner = change.owner.tag === 'some' ? change.owner.val : before.owner;
        if (owner !== undefined && owner !== before.owner && change.maxOwned !== undefined) {
            const others = this.#sessions(now).filter(session => session.record.owner === owner).length;
            if (others >= change.maxOwned) return { tag: 'too-many-owned', val: BigInt(others) };
        }
        const { rotation } = change;
        if (rotation && this.#isTaken(hex(rotation.to), now)) {
            throw { tag: 'unavailable', val: 'the new digest of a session is taken' };
        }

        const record = { ...before, owner, size, accessed: max(before.accessed, now) };
        const { lifetime } = change;
        if (change.clears.length || change.writes.length || change.owner.tag === 'some' || lifetime) record.version += 1n;
        if (lifetime) {
            record.expires = min(lifetime.expires, lifetime.absoluteExpiry ?? lifetime.expires);
            record.absoluteExpiry = lifetime.absoluteExpiry;
        } else if (change.expires !== undefined) {
            record.expires = max(before.expires, min(change.expires, before.absoluteExpiry ?? change.expires));
        }
        Object.assign(session, { record, variables });
        if (rotation) {
            record.rotated = now;
            session.digest = rotation.to;
            this.#entries.set(hex(rotation.to), { session });
            const { grace } = rotation;
            if (!grace) this.#seal(session);
            const expires = (grace?.until ?? now) + BigInt(change.remember);
            this.#bury(hex(digest), { leads: grace && session, until: grace?.until, nonce: grace?.nonce, expires }, now);
        }
        return { tag: 'committed', val: record.version };
    }

    destroy(location, digest, only, now, remember) {
        const session = this.#entries.get(hex(digest))?.session;
        if (!session) return false;
        const isLive = now < session.record.expires;
        const isMeant = { any: true, expired: !isLive, owned: isLive && session.record.owner === only.val }[only.tag];
        if (!isMeant) return false;
        this.#end(session, isLive ? now + BigInt(remember) : now, now);
        return isLive;
    }

    destroyOwned(location, owner, except, now, remember) {
        const spared = except && this.#follow(this.#entries.get(hex(except)), now);
        const owned = this.#sessions(now).filter((session) => session.record.owner === owner && session !== spared);
        for (const session of owned) this.#end(session, now + BigInt(remember), now);
        return BigInt(owned.length);
    }

    cleanup(location, now, limit) {
        let removed = 0;
        for (const [key, { session, expires }] of this.#entries) {
            if (removed === limit) break;
            if ((session?.record.expires ?? expires) > now) continue;
            if (session) this.#end(session, now, now);
            else this.#entries.delete(key);
            removed += 1;
        }
        return removed;
    }

    cleanupLater(location, now) {
        this.cleanup(location, now, 100);
    }

    count(location, now) {
        return BigInt(this.#sessions(now).length);
    }

    list(location, now, owner, after, limit) {
        const listed = this.#sessions(now)
            .filter(({ digest, record }) => (owner === undefined || record.owner === owner) && (!after || Buffer.compare(digest, after) > 0))
            .sort((a, b) => Buffer.compare(a.digest, b.digest));
        return listed.slice(0, limit).map(({ digest, record }) => ({ digest, record: { ...record } }));
    }

    // There are no tables: they always exist, and dropping them removes everything.
    createTables() {}

    dropTables() {
        this.#entries.clear();
    }

    tablesExist() {
        return true;
    }

    #sessions(now) {
        return [...this.#entries.values()].flatMap(({ session }) => (session && now < session.record.expires ? [session] : []));
    }

    #live(key, now) {
        const session = this.#entries.get(key)?.session;
        return session && now < session.record.expires ? session : undefined;
    }

    /** The live session that a digest means or, within its grace period, leads to. */
    #follow(entry, now) {
        const session = entry?.session ?? (now < entry?.until ? entry.leads : undefined);
        return session && now < session.record.expires ? session : undefined;
    }

    #isTaken(key, now) {
        const entry = this.#entries.get(key);
        return entry !== undefined && (entry.session !== undefined || now < entry.expires);
    }

    #write(variables, writes) {
        for (const { app, name, value } of writes) {
            if (!variables.has(app)) variables.set(app, new Map());
            if (value === undefined) variables.get(app).delete(name);
            else variables.get(app).set(name, value);
        }
    }

    /** Former digests lead to this session no more. */
    #seal(session) {
        for (const entry of this.#entries.values()) {
            if (entry.leads === session) entry.leads = undefined;
        }
    }

    #end(session, expires, now) {
        this.#seal(session);
        this.#bury(hex(session.digest), { expires }, now);
    }

    #bury(key, tombstone, now) {
        if (now < tombstone.expires) this.#entries.set(key, tombstone);
        else this.#entries.delete(key);
    }
}
