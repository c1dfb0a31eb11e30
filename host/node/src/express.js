import { append } from '../dist/sdk.js';
import { beforeResponse } from './response.js';
import { commit } from './session.js';
import { Sessions } from './sessions.js';

/**
 * Middleware of express, and of any server on node:http: `request.session` is the visitor's session, which is saved before the
 * response starts.
 */
export function session(options) {
    const sessions = options instanceof Sessions ? options : new Sessions(options);
    const middleware = (request, response, next) => {
        if (request.session) {
            return next();
        }
        if (response.headersSent) {
            return next(new Error('the response has started before session(): its cookie could not be sent'));
        }
        const deliver = pairs => addHeaders(response, pairs);
        sessions.start(request, {}, deliver).then(
            session => {
                request.session = session;
                beforeResponse(response, () => commit(session), next);
                response.once('close', () => session.dispose());
                next();
            },
            next,
        );
    };
    return Object.assign(middleware, { sessions });
}

function addHeaders(response, pairs) {
    if (response.headersSent) {
        if (pairs.some(([name]) => name === 'set-cookie')) {
            throw new Error('the response has started: the cookie of its session cannot be sent');
        }
        return;
    }
    append(pairs, {
        get: name => (response.hasHeader(name) ? String(response.getHeader(name)) : null),
        set: (name, value) => response.setHeader(name, value),
        append: (name, value) => response.appendHeader(name, value),
    });
}
