import { checkSameOrigin as check } from '../dist/sdk.js';

/** Throws `cross-site` for a request with a method such as POST that another site made the visitor's browser send. */
export function checkSameOrigin(request) {
    check(readable(request));
}

/** A request as the check reads it. */
export const readable = request => (typeof request.headers?.get === 'function' ? request : ofNode(request));

/** What the check reads, of a request of node:http or express. */
function ofNode({ method, headers, secure, socket }) {
    const scheme = (secure ?? socket?.encrypted) ? 'https' : 'http';
    const url = `${scheme}://${headers.host}/`;
    return {
        method,
        // Without a Host, as in HTTP/1.0, or with one that is none, no Origin is that of the request: nothing has this name (RFC 2606).
        url: headers.host && URL.canParse(url) ? url : `${scheme}://host.invalid/`,
        headers: {
            has: name => Object.hasOwn(headers, name) && name !== 'x-forwarded-proto',
            get: name => (name === 'x-forwarded-proto' ? null : (headers[name] ?? null)),
        },
    };
}
