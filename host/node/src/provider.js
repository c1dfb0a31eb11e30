// Stores that are components: their exports are the functions of `lemon:session/storage` and `lemon:session/settings`.

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';

import { WASIShim } from '@bytecodealliance/preview2-shim/instantiation';

import { coreModules, instantiateCore, isAnswer } from './component.js';
import { FUNCTIONS } from './guard.js';

const glue = {
    files: { load: () => import('../dist/files/component.js'), modules: coreModules('files') },
    redis: { load: () => import('../dist/redis/component.js'), modules: coreModules('redis') },
};

/** Where the files provider finds its directory. */
const DIRECTORY = '/sessions';

/** A function that makes instances of a provider, with an environment, a log and the directory that they may use. */
async function maker(name, environment, log, directory) {
    const { load, modules } = glue[name];
    const { instantiate } = await load();
    return () => {
        const shim = new WASIShim({
            sandbox: { env: environment, args: [], preopens: directory ? { [DIRECTORY]: directory } : {} },
        });
        const wasi = shim.getImportObject();
        const shimmed = wasi['wasi:filesystem/preopens'];
        wasi['wasi:filesystem/preopens'] = { getDirectories: () => adapted(shimmed.getDirectories()) };
        wasi['wasi:cli/stderr'] = { getStderr: () => logStream(wasi, log) };
        return instantiate(modules, { 'lemon:session/types': {}, ...wasi }, instantiateCore);
    };
}

/**
 * Adapts the directories of preview2-shim 0.26 to the C library of WASI. This asks for the right to change a directory with each
 * file that it opens to write, which the shim refuses, and needs for nothing. And it asks for a hash of each file that it lists,
 * as its number, which fails for one that was renamed meanwhile; the provider reads no numbers. Files are always opened relative
 * to a preopened directory.
 */
function adapted(directories) {
    for (const [directory] of directories) {
        const { openAt } = directory;
        directory.openAt = function (pathFlags, path, openFlags, { mutateDirectory, ...flags }) {
            const opened = openAt.call(this, pathFlags, path, openFlags, flags);
            opened.metadataHashAt = () => ({ lower: 1n, upper: 0n });
            return opened;
        };
    }
    return directories;
}

/** The stream that a provider prints its log to, a line each. */
function logStream(wasi, log) {
    const { OutputStream } = wasi['wasi:io/streams'];
    const { subscribeDuration } = wasi['wasi:clocks/monotonic-clock'];
    const decoder = new TextDecoder();
    let line = '';
    const write = bytes => {
        const lines = (line + decoder.decode(bytes, { stream: true })).split('\n');
        line = lines.pop();
        for (const one of lines) {
            log(one.replace(/^lemon-session: /, ''));
        }
    };
    const done = () => {};
    return Object.assign(Object.create(OutputStream.prototype), {
        checkWrite: () => 65536n,
        write,
        flush: done,
        blockingFlush: done,
        blockingWriteAndFlush: write,
        subscribe: () => subscribeDuration(0n),
        [Symbol.dispose]: done,
    });
}

/** Opens the provider of a storage URL as a store. */
export async function openProvider(name, environment, url, log) {
    let directory;
    if (name === 'files') {
        directory = resolve(url.slice('files:'.length));
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        environment = { ...environment, LEMON_SESSION_STORAGE: `files:${DIRECTORY}` };
    }
    const make = await maker(name, environment, log, directory);
    let provider;
    const store = {};
    for (const name of FUNCTIONS) {
        store[name] = (...args) => {
            provider ??= make();
            try {
                return provider.storage[name](...args);
            } catch (error) {
                if (!isAnswer(error)) {
                    // It has trapped.
                    provider = undefined;
                }
                throw error;
            }
        };
    }
    return store;
}

/** Checks settings. Returns all of them, with their defaults, and what is wrong. */
export async function checkSettings(environment) {
    const variables = { LEMON_SESSION_STORAGE: `files:${DIRECTORY}`, ...environment };
    const { storage, settings } = (await maker('files', variables, () => {}))();
    try {
        storage.tablesExist({ storage: 'none' });
    } catch (error) {
        if (!isAnswer(error)) {
            throw error;
        }
        // A provider with wrong settings answers every call with them; one with right settings has no store of this name.
        if (error.payload.tag !== 'unknown-location') {
            return { mistakes: error.payload.val };
        }
    }
    return { defaults: settings.getDefaults() };
}
