import { closeSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { layouts, statements } from '../../dist/sqlite.js';

/** How often it is checked whether the file was replaced, in milliseconds. */
const CHECK_FILE = 1000;
/** The length of the write-ahead log, in pages, at which a save copies it back into the database. */
const LOG_PAGES = 4000;

/** What the names of the tables end with. The table of tombstones was `_former` before layout 3. */
const PARTS = ['', '_variable', '_large', '_tombstone', '_former', '_meta'];

/** Expected failures as `lemon:session/storage` tells them. */
const unavailable = val => ({ tag: 'unavailable', val });

/** One table of sessions in a file: the connection to it and its statements. */
export class Database {
    #path;
    #table;
    #options;
    #database;
    #prepared = new Map();
    #file;
    #checked = 0;

    constructor(path, table, options) {
        this.#path = path;
        this.#table = table;
        this.#options = options;
    }

    /** Runs `action` with the open database, and answers what SQLite says is wrong. */
    run(action) {
        try {
            this.#open();
            return action(this);
        } catch (error) {
            throw this.#failure(error);
        }
    }

    /** Runs `action` in a transaction that writes; as long as another process writes, it waits. */
    write(action) {
        return this.run(() => this.#transaction('BEGIN IMMEDIATE', action));
    }

    /** Runs `action` on one state of the database. */
    snapshot(action) {
        return this.#transaction('BEGIN', action);
    }

    #transaction(begin, action) {
        this.#exec(begin);
        try {
            const answer = action(this);
            this.#exec('COMMIT');
            return answer;
        } finally {
            // Some errors have ended the transaction already.
            if (this.#database.inTransaction) {
                this.#exec('ROLLBACK');
            }
        }
    }

    #exec(sql) {
        let statement = this.#prepared.get(sql);
        if (!statement) {
            this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
        }
        statement.run();
    }

    /** The rows of a statement of the driver, each an array. */
    all(name, ...values) {
        return this.#statement(name).all(bind(values));
    }

    /** The first row of a statement, or undefined. */
    get(name, ...values) {
        return this.#statement(name).get(bind(values));
    }

    /** Runs a statement that changes rows. */
    change(name, ...values) {
        return this.#statement(name).run(bind(values));
    }

    #statement(name) {
        let statement = this.#prepared.get(name);
        if (!statement) {
            statement = this.#database.prepare(statements[name].replaceAll('{t}', this.#table)).safeIntegers();
            if (statement.reader) {
                statement.raw();
            }
            this.#prepared.set(name, statement);
        }
        return statement;
    }

    #open() {
        if (this.#database) {
            return this.#checkFile();
        }
        this.#connect();
        const layout = this.#layout();
        if (layout !== layouts.length) {
            this.close();
            throw layout > layouts.length ? this.#newer(layout) : this.#missing();
        }
    }

    #connect() {
        if (!this.#stat()) {
            throw this.#missing();
        }
        const { default: Sqlite } = { default: createRequire(import.meta.url)('better-sqlite3') };
        // The `./` keeps SQLite from reading a path as a URI or as :memory:.
        const path = this.#path.startsWith('/') ? this.#path : `./${this.#path}`;
        this.#database = new Sqlite(path, { fileMustExist: true, timeout: this.#options.busyTimeout });
        // For a new file only, as the driver in Rust does.
        this.#database.pragma('page_size = 2048');
        this.#database.pragma('journal_mode = WAL');
        this.#database.pragma(`synchronous = ${this.#options.synchronous}`);
        this.#database.pragma(`wal_autocheckpoint = ${LOG_PAGES}`);
        this.#database.pragma('temp_store = MEMORY');
        this.#database.pragma(`journal_size_limit = ${64 << 20}`);
        this.#file = this.#stat();
        this.#checked = Date.now();
    }

    #stat() {
        return statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    }

    /** A save into a file that was moved away or removed would be lost. */
    #checkFile() {
        const now = Date.now();
        if (now - this.#checked >= CHECK_FILE || now < this.#checked) {
            const found = this.#stat();
            if (!found || found.ino !== this.#file.ino || found.dev !== this.#file.dev) {
                throw unavailable(`${this.#path} was replaced or removed while it was in use: start this process again`);
            }
            this.#checked = now;
        }
    }

    #layout() {
        const exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE";
        if (!this.#database.prepare(exists).get(`${this.#table}_meta`)) {
            return 0;
        }
        return this.#database.prepare(`SELECT version FROM "${this.#table}_meta"`).pluck().get() ?? 0;
    }

    /** The failure that a table with one of the names is of another program. All of ours are made in one transaction. */
    #foreign() {
        const named = `SELECT name FROM sqlite_schema WHERE name COLLATE NOCASE IN (${PARTS.map(() => '?')}) ORDER BY name`;
        const names = this.#database.prepare(named).pluck().all(PARTS.map(part => `${this.#table}${part}`));
        if (names.length === 0 || names.some(name => name.toLowerCase().endsWith('_meta'))) {
            return undefined;
        }
        const what = `${this.#path} has a table ${names[0]} that another program made: there is no table ${this.#table}_meta beside it`;
        return unavailable(`${what}. It is left as it is; give the sessions another table or another file`);
    }

    /** The layout of the tables, as a connection of its own finds it. */
    #found() {
        if (!this.#stat()) {
            return 0;
        }
        if (this.#database) {
            return this.#layout();
        }
        this.#connect();
        try {
            return this.#layout();
        } finally {
            this.close();
        }
    }

    /** Creates the file and its tables, or upgrades those of an older layout. */
    createTables() {
        try {
            try {
                closeSync(openSync(this.#path, 'wx', 0o600));
            } catch (error) {
                if (error.code !== 'EEXIST') {
                    throw unavailable(`cannot create ${this.#path}: ${error.message}`);
                }
            }
            this.close();
            this.#connect();
            this.#transaction('BEGIN IMMEDIATE', () => {
                const foreign = this.#foreign();
                if (foreign) {
                    throw foreign;
                }
                const found = this.#layout();
                if (found > layouts.length) {
                    throw this.#newer(found);
                }
                if (found < layouts.length) {
                    for (const layout of layouts.slice(found)) {
                        this.#database.exec(layout.replaceAll('{table}', this.#table));
                    }
                    const meta = `"${this.#table}_meta"`;
                    this.#database.exec(
                        `CREATE TABLE IF NOT EXISTS ${meta} (version INTEGER NOT NULL) STRICT;
                        DELETE FROM ${meta}; INSERT INTO ${meta} VALUES (${layouts.length})`,
                    );
                }
            });
        } catch (error) {
            throw this.#failure(error);
        } finally {
            this.close();
        }
    }

    /** Removes the tables. */
    dropTables() {
        try {
            if (this.#found() === 0) {
                return;
            }
            this.close();
            this.#connect();
            this.#transaction('BEGIN IMMEDIATE', () => {
                for (const part of PARTS) {
                    this.#database.exec(`DROP TABLE IF EXISTS "${this.#table}${part}"`);
                }
            });
        } catch (error) {
            throw this.#failure(error);
        } finally {
            this.close();
        }
    }

    /** Whether the tables are there, in the layout that this version knows. */
    tablesExist() {
        try {
            const found = this.#found();
            if (found > layouts.length) {
                throw this.#newer(found);
            }
            return found === layouts.length;
        } catch (error) {
            throw this.#failure(error);
        }
    }

    close() {
        this.#database?.close();
        this.#database = undefined;
        this.#prepared.clear();
    }

    #missing() {
        const what = `the tables of ${this.#table} are not in ${this.#path}, or are older than this program`;
        return { tag: 'missing-tables', val: `${what}: manager.createTables() creates them, or brings them up to date` };
    }

    #newer(layout) {
        return unavailable(`the tables of ${this.#table} in ${this.#path} have the layout ${layout}, which this version does not know`);
    }

    /** Translates an error of SQLite. Its text names tables and columns, never their content. */
    #failure(error) {
        if (!(error instanceof Error)) {
            return error;
        }
        if (error.code === 'MODULE_NOT_FOUND') {
            return unavailable('sessions in SQLite need the package better-sqlite3: npm install better-sqlite3');
        }
        if (error.message.startsWith('no such table')) {
            this.close();
            return this.#missing();
        }
        const path = this.#path;
        switch (/^SQLITE_[A-Z]+/.exec(error.code ?? '')?.[0]) {
            case 'SQLITE_BUSY':
            case 'SQLITE_LOCKED':
                return unavailable(`${path} is busy: other processes wrote to it for longer than busyTimeout`);
            case 'SQLITE_NOTADB':
                return unavailable(`${path} is not an SQLite database`);
            case 'SQLITE_CANTOPEN':
                return unavailable(`cannot open ${path}: is there a folder ${dirname(path)}?`);
            case 'SQLITE_READONLY':
                return unavailable(`${path}, or its folder, cannot be written to`);
            case 'SQLITE_FULL':
                return unavailable(`there is no room for ${path}: the disk is full`);
            default:
                return unavailable(`SQLite failed on ${path}: ${error.message}`);
        }
    }
}

/** The parameters ?1, ?2, … as better-sqlite3 names them. */
function bind(values) {
    const bound = {};
    for (let i = 0; i < values.length; i += 1) {
        bound[i + 1] = values[i];
    }
    return bound;
}
