// What sdk/js/lemon-session.d.ts takes and refuses. Compiled, not run.

import { Manager, SessionError, checkSameOrigin, real, start, type Value } from '../../sdk/js/lemon-session.js';
export function page(request: Request): Response {
    checkSameOrigin(request);
    const session = start(request, { app: 'visits', cookie: { sameSite: 'lax' } });
    const n: number = session.get<number>('n') ?? 0;
    const v: Value | undefined = session.get('x');
    session.set('n', n + 1).set('r', real(1)).set('b', new Uint8Array(2)).set('l', [1, { a: null, d: real(2) }, 2n]);
    const d: number = session.setDefault<number>('n', 1);
    session.flash({ level: 'error' });
    const [message]: string[] = session.flashes<string>();
    session.checkCsrf(request, session.csrfToken());
    const changed: boolean = session.modified && session.accessed;
    for (const [key, value] of session.entriesOf(session.digest)) console.log(key, value, d, message, changed);
    // @ts-expect-error undefined is no message
    session.flash(undefined);
    // @ts-expect-error undefined is no plain data
    session.set('u', undefined);
    // @ts-expect-error bytes are not nested
    session.set('u', [new Uint8Array(1)]);
    // @ts-expect-error no such option
    start(request, { expire: 1 });
    for (const [key, value] of session) console.log(key, value, v);
    for (const entry of new Manager().list('me')) console.log(entry.digest.length);
    try { session.add('n'); } catch (error) { if (error instanceof SessionError && error.code === 'gone') console.log(error.status); }
    return new Response('', { headers: session.save() });
}
