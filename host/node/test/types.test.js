import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = file => fileURLToPath(new URL(file, import.meta.url));

test('TypeScript accepts and refuses what it should', () => {
    const tsc = path('../node_modules/typescript/bin/tsc');
    const flags = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
    try {
        execFileSync(process.execPath, [tsc, ...flags, path('types.ts')], { cwd: path('..') });
    } catch ({ stdout }) {
        throw new Error(String(stdout));
    }
});
