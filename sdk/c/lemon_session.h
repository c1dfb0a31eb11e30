/* Sessions for CGI programs in C: variables that belong to one visitor and are available again on the visitor's next request.
 *
 * These functions shorten the most frequent calls of application.h, which wit-bindgen generates from the interface. Call that
 * directly for all others, such as lemon_session_sessions_method_session_add.
 *
 * A function that returns bool returns false when it fails, and says why in its last parameter. Texts end with a zero byte. Nothing
 * has to be freed: a CGI program answers one request. */

#ifndef LEMON_SESSION_H
#define LEMON_SESSION_H

#include "application.h"

typedef lemon_session_sessions_borrow_session_t session_t;
typedef lemon_session_sessions_list_header_t session_headers_t;
typedef lemon_session_sessions_error_t session_error_t;

/* Whether the request comes from this site. It does not if another site made the visitor's browser send it, for example by a forged
 * form (CSRF): answer 403 then, before anything is changed. GET, HEAD, OPTIONS and TRACE pass, so change nothing in response to
 * them. The rules are those of check_same_origin in the other languages. */
bool session_is_same_origin(void);

/* As session_is_same_origin, but a request with neither Sec-Fetch-Site nor Origin has to bring a token of this session, which may be
 * NULL: so that browsers that are older than these headers are covered too. */
bool session_check_csrf(session_t session, const char *token, bool *is_same_origin, session_error_t *error);

/* A token against forged requests, to be put into a form for session_check_csrf. The text differs with each call. */
bool session_csrf_token(session_t session, char **token, session_error_t *error);

/* Starts the session that the request's cookie names, or a new one, for the variables of an application: NULL for the one that the
 * host's settings name. */
bool session_start(const char *app, session_t *session, session_error_t *error);

/* The text of a variable, or NULL if it is not set. A value of another type is an error. */
bool session_get_text(session_t session, const char *name, char **text, session_error_t *error);

/* Reads a text and removes its variable: for messages that are shown once. */
bool session_take_text(session_t session, const char *name, char **text, session_error_t *error);

/* Leaves a flash message: a text in UTF-8 that waits for the next call of session_flash_texts, in this request or a later one. */
bool session_flash_text(session_t session, const char *text, session_error_t *error);

/* Takes all flash messages of the application, oldest first: an array of texts that ends with NULL. Messages that are no texts are
 * dropped. */
bool session_flash_texts(session_t session, char ***texts, session_error_t *error);

/* Sets a variable to a text in UTF-8. */
bool session_set_text(session_t session, const char *name, const char *text, session_error_t *error);

/* Adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a concurrent request. */
bool session_add(session_t session, const char *name, int64_t delta, int64_t *sum, session_error_t *error);

/* Rotates the session's id when it is saved. Call it at each login. */
bool session_regenerate_id(session_t session, session_error_t *error);

/* Sets the session's owner, usually the user who logged in, or with NULL removes it. */
bool session_set_owner(session_t session, const char *owner, session_error_t *error);

/* Notes that the owner has logged in, now and by this method, such as "password" or "passkey", and rotates the session's id when it is
 * saved. Call it at each login, and each time that the owner has proved again who it is. With the setting max-sessions, the save ends
 * the owner's session whose login is the oldest, or fails with LEMON_SESSION_TYPES_ERROR_TOO_MANY, if the owner has too many. */
bool session_authenticate(session_t session, const char *owner, const char *method, session_error_t *error);

/* Whether the owner has logged in within the last seconds: for pages that ask for the password again. */
bool session_fresh_within(session_t session, uint32_t seconds, bool *is_fresh, session_error_t *error);

/* Sets how long the session lasts, from its next save on: the idle time, the time until it ends however often it is used, and the
 * cookie's Max-Age, 0 until the browser closes. All in seconds; NULL is as the settings say. */
bool session_set_lifetime(session_t session, const uint32_t *expires, const uint32_t *max_lifetime, const uint32_t *cookie,
                          session_error_t *error);

/* "Remember me": has the session and its cookie last so many seconds after each use, also when the browser is closed. */
bool session_remember(session_t session, uint32_t seconds, session_error_t *error);

/* Sets what the owner calls the session, such as the name of the device, or with NULL removes it. */
bool session_set_label(session_t session, const char *label, session_error_t *error);

/* What is known of a session, for its user. Times are in seconds since 1970, and 0 if there is none; texts are NULL then. The
 * client's address and User-Agent are there if the site keeps them. */
typedef struct {
    uint64_t created, accessed, absolute_expiry, authenticated_at;
    char *method, *label, *address, *user_agent;
} session_metadata_t;

bool session_metadata(session_t session, session_metadata_t *metadata, session_error_t *error);

/* Stores all changes and returns the headers to send with the response. Call it in every request. */
bool session_save(session_t session, session_headers_t *headers, session_error_t *error);

/* Ends the session at once. Returns the headers that delete the cookie. */
bool session_destroy(session_t session, session_headers_t *headers, session_error_t *error);

/* Prints headers as lines of a CGI response. */
void session_print_headers(const session_headers_t *headers);

/* The HTTP status code for the response to a request that failed with this error: 403, 409, 413, 429 or 503, and 500 for a
 * mistake of the program. */
int session_error_status(const session_error_t *error);

/* The text of an error, for people. */
const char *session_error_text(const session_error_t *error);

#endif
