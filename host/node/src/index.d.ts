import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Entry, Header, Metadata, Options, ResponseHeaders, Session as Variables, SessionError, Value } from '../dist/sdk.js';

export { SessionError, real } from '../dist/sdk.js';
export type {
    Code,
    Cookie,
    Dictionary,
    Entry,
    Header,
    Lifetime,
    List,
    Metadata,
    Nested,
    Options,
    ResponseHeaders,
    Value,
} from '../dist/sdk.js';
export type { Store };

/** The functions of `lemon:session/storage`: what a store of your own has. Each has to answer synchronously. */
type Store = typeof import('../dist/session/interfaces/lemon-session-storage.js') & { close?(): void };

/** Why a store could not complete a call: what its functions may throw beside an `Error`. */
export type Failure = import('../dist/session/interfaces/lemon-session-storage.js').Failure;

type Asynchronous =
    | 'application'
    | 'reserve'
    | 'release'
    | 'destroyOthers'
    | 'freshWithin'
    | 'metadata'
    | 'save'
    | 'destroy'
    | 'flashes'
    | 'entriesOf'
    | 'csrfToken'
    | 'checkCsrf';

/**
 * One application's view of a session: a map of its variables, as that of the SDK for applications. What may have to wait for the
 * store is asynchronous.
 */
export interface Session extends Omit<Variables, Asynchronous> {
    [Symbol.iterator](): Iterator<[string, Value]>;
    /** The same session, with the variables of another application. */
    application(name: string): Promise<Session>;
    /** Reserves an application name and returns the only handle that can access its variables. */
    reserve(name: string, secret?: string): Promise<Session>;
    /** Ends the reservation of a name. */
    release(name: string): Promise<void>;
    /** Ends all other live sessions of this session's owner immediately and returns their number. */
    destroyOthers(): Promise<number>;
    /** Whether the owner has logged in within the last `seconds`. */
    freshWithin(seconds: number): Promise<boolean>;
    /** What is known of the session, for its user. */
    readonly metadata: Promise<Metadata>;
    /** Takes all flash messages of the application, oldest first. The type `T` is not checked. */
    flashes<T = Value>(): Promise<T[]>;
    /** All variables of the application in another session of the same owner, sorted by name. */
    entriesOf(digest: string): Promise<[string, Value][]>;
    /** A token against forged requests, for `checkCsrf`. */
    csrfToken(): Promise<string>;
    /**
     * Rejects with `cross-site` for a forged request, as `checkSameOrigin` throws it, and for one with neither Sec-Fetch-Site nor
     * Origin unless it brings a token of this session.
     */
    checkCsrf(request: Request | IncomingMessage, token?: string | null): Promise<void>;
    /**
     * Stores all changes in one transaction and returns the headers to send with the response, which middleware adds by itself.
     * If `headers` are given, they are appended there instead.
     */
    save(headers?: ResponseHeaders): Promise<Header[]>;
    /** Ends the session immediately and discards unsaved changes. The headers that delete the cookie go where those of save do. */
    destroy(headers?: ResponseHeaders): Promise<Header[]>;
    /** Frees the session's memory. Changes that were not saved are discarded. Middleware does this after the response. */
    dispose(): void;
    [Symbol.dispose](): void;
}

/** Seconds, or a time with a unit: 90, '30m', '24h', '14d'. */
export type Time = number | string;
/** Bytes, or a size with a unit: 4096, '64K', '4M'. */
export type Size = number | string;

/** The settings of all sessions: the keys of `lemon.ini` in camelCase, with the same defaults. */
export interface Settings {
    /** The application's name where `start` is given none. */
    app?: string;
    /** The idle time. */
    expires?: Time;
    /** The absolute expiry: the longest life of a session even if it is used; 0: no such limit. */
    maxLifetime?: Time;
    /** The longest idle time that can be given to a session; 0: as long as the absolute expiry allows. */
    maxExpires?: Time;
    /** The absolute expiry of a session whose owner has logged in, counted from the login; 0: a login has none of its own. */
    loginLifetime?: Time;
    /** The most live sessions of one owner, counted at each login; 0: no such limit. */
    maxSessions?: number;
    /** What a login does when its owner has `maxSessions` already: it ends the one whose login is the oldest, or it is refused. */
    maxSessionsReached?: 'end-oldest' | 'refuse';
    /** Whether `expires` counts from the last use; if not, from the creation. */
    rolling?: boolean;
    /** How much of the idle time may pass before a use is stored. */
    touchAfter?: Time;
    /** The age at which an id is rotated automatically; 0: never. */
    renewAfter?: Time;
    /** How long the old id still leads to the session after an automatic rotation. */
    renewGrace?: Time;
    /** How long the tombstone of an ended id is kept. */
    rememberEnded?: Time;
    /** Whether a session is stored, and its cookie sent, only once it has a variable or an owner. */
    lazy?: boolean;
    /** Whether a save fails with `conflict` if another request saved the session first. */
    strict?: boolean;
    /** Whether values are sealed: encrypted so that only the visitor's cookie opens them. */
    seal?: boolean;
    /** How much of the client's address is kept when a session begins and when its owner logs in. */
    clientAddress?: 'none' | 'network' | 'full';
    /** How many characters of the client's `User-Agent` are kept then, at most 1024; 0: none. */
    clientUserAgent?: number;
    /**
     * How long the bound cookie is valid that a session needs once a browser has bound it to its device; 0: browsers are not asked
     * to. This package does not answer their requests, so leave it at 0.
     */
    deviceBound?: Time;
    /** The probability that a start triggers a cleanup of expired sessions. */
    cleanup?: number;
    /** Text mixed into new ids. */
    seed?: string;
    cacheLimiter?: 'nocache' | 'private' | 'public' | 'none';
    cacheExpire?: Time;
    cookie?: {
        name?: string;
        path?: string;
        domain?: string;
        secure?: 'auto' | 'on' | 'off';
        httpOnly?: boolean;
        sameSite?: 'strict' | 'lax' | 'none';
        partitioned?: boolean;
        lifetime?: Time;
        comment?: string;
    };
    limits?: {
        keyLength?: number;
        appLength?: number;
        variables?: number;
        valueBytes?: Size;
        sessionBytes?: Size;
        headerBytes?: Size;
    };
    /** The names reserved in every session, each with the SHA-256 hash, in hexadecimal, of its secret. */
    reserved?: Record<string, string>;
}

/** A storage URL and the options of its driver, as in a section `[storage]` of `lemon.ini`, in camelCase. */
export interface Location {
    url: string;
    /** The table of the sessions: Session unless given. */
    table?: string;
    /** Further tables that `start` may be given. */
    tables?: string[];
    [option: string]: string | number | boolean | string[] | undefined;
}

export interface SessionsOptions extends Settings {
    /** `sqlite:PATH`, `files:DIRECTORY` or `redis://HOST`, or a store of your own. */
    storage: string | Location | Store;
    /** Whether tables that are missing are created: true unless given. */
    createTables?: boolean;
    /** How many threads run the component. 0, the default of SQLite and of your own stores: this one. 2 for files, 4 for Redis. */
    threads?: number;
    /** How many instances of the component a thread has at most: 16 unless given. */
    instances?: number;
    /** Gets what is for the operator; `console.error` unless given. */
    log?(text: string): void;
}

/** The sessions of a server: a store, the settings, and the component that keeps the rules. */
export class Sessions {
    constructor(options: SessionsOptions);
    /** Waits until settings and store are known to be right. */
    static open(options: SessionsOptions): Promise<Sessions>;
    /** Starts the session that the request's cookie names, or a new one. The caller saves and disposes of it. */
    start(request?: Request | IncomingMessage | null, options?: Options): Promise<Session>;
    /** The manager of a store or table. */
    manager(location?: { storage?: string; table?: string }): Manager;
    /** Closes the store. */
    close(): Promise<void>;
}

/** Manages tables and the sessions of all visitors. */
export interface Manager {
    /** Creates the tables or migrates those of an older version. Rejects with an AggregateError of all errors. */
    createTables(): Promise<void>;
    dropTables(): Promise<void>;
    tablesExist(): Promise<boolean>;
    cleanup(limit?: number): Promise<number>;
    count(): Promise<number>;
    list(owner?: string): AsyncGenerator<Entry, void>;
    get(digest: string, owner?: string): Promise<Entry | undefined>;
    destroy(digest: string, owner?: string): Promise<boolean>;
    destroyOwned(owner: string, except?: string): Promise<number>;
}

type Next = (error?: unknown) => void;

/** Middleware of express, and of any server on node:http: `request.session` is the visitor's session. */
export function session(
    options: SessionsOptions | Sessions,
): ((request: IncomingMessage, response: ServerResponse, next: Next) => void) & { readonly sessions: Sessions };

/** Gives a handler of fetch-style servers the visitor's session, and saves it before its response is returned. */
export function withSession<Rest extends unknown[]>(
    options: SessionsOptions | Sessions,
    handler: (request: Request, session: Session, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response>;

/** Throws `cross-site` for a request with a method such as POST that another site made the visitor's browser send. */
export function checkSameOrigin(request: Request | IncomingMessage): void;

declare global {
    namespace Express {
        interface Request {
            session: Session;
        }
    }
}
