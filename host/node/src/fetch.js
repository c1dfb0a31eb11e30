import { append } from '../dist/sdk.js';
import { commit } from './session.js';
import { Sessions } from './sessions.js';

/**
 * Gives a handler of fetch-style servers the visitor's session, and saves it before its response is returned. If the handler or
 * the save fails, so does the promise: nothing was saved then.
 */
export function withSession(options, handler) {
    const sessions = options instanceof Sessions ? options : new Sessions(options);
    return async (request, ...rest) => {
        const pairs = [];
        const session = await sessions.start(request, {}, more => pairs.push(...more));
        try {
            const response = await handler(request, session, ...rest);
            await commit(session);
            return withHeaders(response, pairs);
        } finally {
            session.dispose();
        }
    };
}

/** A copy of a response, whose own headers may be immutable, with more headers. */
function withHeaders(response, pairs) {
    if (pairs.length === 0) {
        return response;
    }
    const { status, statusText } = response;
    const headers = new Headers(response.headers);
    append(pairs, headers);
    return new Response(response.body, { status, statusText, headers });
}
