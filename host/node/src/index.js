export { session } from './express.js';
export { withSession } from './fetch.js';
export { checkSameOrigin } from './same-origin.js';
export { Session, SessionError } from './session.js';
export { Sessions } from './sessions.js';
export { real } from '../dist/sdk.js';
