// Makes dist/: the components as JavaScript modules, and what this package shares with the rest of the project: the SDK's
// conversion of values, and the tables and statements of the SQLite driver.

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { transpileBytes } from '@bytecodealliance/jco-transpile';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const dist = join(here, 'dist');

const COMPONENTS = {
    session: 'host/embed/lemon_session.wasm',
    files: 'host/command/providers/files.wasm',
    redis: 'host/command/providers/redis.wasm',
};

/** Replaces text that has to be there. */
function replace(text, what, by) {
    const replaced = text.replace(what, by);
    if (replaced === text) {
        throw new Error(`build.js: ${what} is not in the text to be changed`);
    }
    return replaced;
}

/** jco looks into the environment for each line of its debug log, which takes more time than the calls themselves. */
const withoutDebugLog = source =>
    replace(source, /const _debugLog = \(\.\.\.args\) => \{[^}]*\}[^}]*\};?/, 'const _debugLog = () => {};');

async function transpile(name, file) {
    const { files } = await transpileBytes(await readFile(join(root, file)), {
        name: 'component',
        instantiation: 'sync',
        noComponentErrorWrapping: false,
    });
    for (const [path, content] of Object.entries(files)) {
        const to = join(dist, name, path);
        await mkdir(dirname(to), { recursive: true });
        await writeFile(to, path === 'component.js' ? withoutDebugLog(Buffer.from(content).toString()) : content);
    }
}

/** The SDK as a module of Node: of its imports, which a server does not have, only values and checks are left. */
async function sdk() {
    const source = await readFile(join(root, 'sdk/js/lemon-session.js'), 'utf8');
    const withoutManager = replace(source, /^import .* from 'lemon:session\/manager.*$/m, "import { JSON } from '../src/json.js';");
    const withoutSessions = replace(
        withoutManager,
        /^import .* from 'lemon:session\/sessions.*$/m,
        'const manager = {}, sessions = { start: { constructor: () => () => ({}) } };',
    );
    await writeFile(
        join(dist, 'sdk.js'),
        `${withoutSessions}\nexport { COOKIE, OPTIONS, append, call, check, errorOf, fromValue, isKnown, numbers, text, tokenOf, whole, withoutToken };\n`,
    );
    await cp(join(root, 'sdk/js/lemon-session.d.ts'), join(dist, 'sdk.d.ts'));
}

/** The statements and the tables of the driver in Rust, so that both use one file in the same way. */
async function sqlite() {
    const source = join(root, 'host/sqlite/src');
    const rust = await readFile(join(source, 'statements.rs'), 'utf8');
    const [, record] = /^const RECORD: &str = "(.*)";$/m.exec(rust);
    const statements = {};
    for (const [, name, sql] of rust.matchAll(/^ {4}(\w+): r#"(.*?)"#;$/gms)) {
        statements[name] = sql.replace('{record}', record);
    }
    const schema = await readFile(join(source, 'schema.rs'), 'utf8');
    const [, inline] = /^pub const INLINE: usize = (\d+);$/m.exec(schema);
    const layouts = [];
    for (const [, file] of /^const LAYOUTS.*$/m.exec(schema)[0].matchAll(/include_str!\("(.*?)"\)/g)) {
        layouts.push(await readFile(join(source, file), 'utf8'));
    }
    await writeFile(
        join(dist, 'sqlite.js'),
        `// The statements and layouts of host/sqlite.\n` +
            `export const INLINE = ${inline};\n` +
            `export const layouts = ${JSON.stringify(layouts, null, 4)};\n` +
            `export const statements = ${JSON.stringify(statements, null, 4)};\n`,
    );
}

await cp(join(root, 'LICENSE'), join(here, 'LICENSE'));
await rm(dist, { recursive: true, force: true });
await mkdir(dist);
await Promise.all([...Object.entries(COMPONENTS).map(([name, file]) => transpile(name, file)), sdk(), sqlite()]);
