// Checked by tsc: each line after an @ts-expect-error has to be refused.
import { Sessions, type Session, type Store, session, withSession, checkSameOrigin, real } from '../src/index.js';

const middleware = session({ storage: 'sqlite:sessions.db', expires: '30m', cookie: { sameSite: 'lax' }, reserved: {} });
const sessions: Sessions = middleware.sessions;
session({ storage: { url: 'redis://127.0.0.1', timeout: '2s' }, threads: 2 });
// @ts-expect-error
session({ storage: 'sqlite:sessions.db', expire: 5 });
// @ts-expect-error
session({ storage: 'sqlite:sessions.db', cookie: { sameSite: 'Lax' } });
// @ts-expect-error
session({});

export async function page(visitor: Session): Promise<number | bigint> {
    visitor.set('cart', [{ id: 1, price: real(2) }]).set('bytes', new Uint8Array(1));
    // @ts-expect-error
    visitor.set('when', new Date());
    const name: string | undefined = visitor.get<string>('name');
    for (const [key, value] of visitor) console.log(key, value, name);
    // @ts-expect-error
    visitor.save().length;
    await (await visitor.application('shop')).save();
    visitor.dispose();
    return visitor.add('visits');
}

export const handler = withSession(sessions, async (request, visitor, extra: number) => {
    checkSameOrigin(request);
    return new Response(String(visitor.add('visits', extra)), { headers: await visitor.save() });
});
// @ts-expect-error
handler(new Request('http://localhost/'), 'text');

declare const store: Store;
new Sessions({ storage: store });
const asynchronous = { ...store, load: async () => ({ tag: 'absent' as const }) };
// @ts-expect-error
new Sessions({ storage: asynchronous });

export async function list(): Promise<void> {
    for await (const { digest, owner } of sessions.manager().list('ada')) console.log(digest, owner);
}
