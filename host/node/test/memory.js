const key = digest => Buffer.from(digest).toString('hex');

/** A store in memory with what the tests of the pool need: no rotation, no tombstones. */
export function memoryStore() {
    const sessions = new Map();
    const unused = () => {
        throw new Error('not in this store');
    };
    return {
        load(location, digest, app) {
            const found = sessions.get(key(digest));
            if (!found) {
                return { tag: 'absent' };
            }
            const of = app => [...found.variables]
                .filter(([of]) => of.startsWith(`${app}/`))
                .map(([of, val]) => ({ name: of.slice(app.length + 1), value: { tag: 'inline', val } }));
            return {
                tag: 'found',
                val: {
                    record: found.record,
                    details: of(''),
                    variables: of(app),
                },
            };
        },
        create(location, digest, record, writes) {
            const variables = new Map(writes.map(({ app, name, value }) => [`${app}/${name}`, value]));
            sessions.set(key(digest), { record: { ...record, version: 1n, size: 0n }, variables });
            return 'created';
        },
        update(location, digest, { writes }) {
            const found = sessions.get(key(digest));
            if (!found) {
                return { tag: 'gone' };
            }
            for (const { app, name, value } of writes) {
                found.variables.set(`${app}/${name}`, value);
            }
            return { tag: 'committed', val: (found.record.version += 1n) };
        },
        destroy: (location, digest) => sessions.delete(key(digest)),
        fetch: () => undefined,
        count: () => BigInt(sessions.size),
        cleanup: () => 0,
        cleanupLater: () => {},
        destroyOwned: unused,
        list: unused,
        createTables: unused,
        dropTables: unused,
        tablesExist: () => true,
    };
}
