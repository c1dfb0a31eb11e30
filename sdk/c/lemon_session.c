#include "lemon_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the bindings take of a text, which they do not change. */
static application_string_t borrowed(const char *text) {
    return (application_string_t){ .ptr = (uint8_t *)text, .len = strlen(text) };
}

static char *copied(const uint8_t *bytes, size_t length) {
    char *text = malloc(length + 1);
    if (!text) abort();
    memcpy(text, bytes, length);
    text[length] = 0;
    return text;
}

/* The last value counts: it comes from the nearest proxy, as a client can only add values before it. */
static bool is_https(void) {
    const char *https = getenv("HTTPS"), *forwarded = getenv("HTTP_X_FORWARDED_PROTO");
    if (https && *https && strcasecmp(https, "off") != 0) return true;
    if (!forwarded) return false;
    const char *comma = strrchr(forwarded, ','), *last = comma ? comma + 1 : forwarded;
    last += strspn(last, " \t");
    return strncasecmp(last, "https", 5) == 0 && last[5 + strspn(last + 5, " \t")] == 0;
}

/* Whether two hosts are the same. The scheme's default port is optional in both. */
static bool is_same_host(const char *one, const char *other, const char *port) {
    size_t lengths[2] = { strlen(one), strlen(other) }, port_length = strlen(port);
    const char *hosts[2] = { one, other };
    for (int i = 0; i < 2; i++) {
        if (lengths[i] >= port_length && strcmp(hosts[i] + lengths[i] - port_length, port) == 0) lengths[i] -= port_length;
    }
    return lengths[0] == lengths[1] && strncasecmp(one, other, lengths[0]) == 0;
}

static bool is_own(const char *origin, const char *host) {
    if (!host) return false;
    if (strncmp(origin, "https://", 8) == 0) return origin[8] && is_same_host(origin + 8, host, ":443");
    if (strncmp(origin, "http://", 7) == 0) return origin[7] && !is_https() && is_same_host(origin + 7, host, ":80");
    return false;
}

static bool is_safe(void) {
    const char *method = getenv("REQUEST_METHOD"), *safe[] = { "GET", "HEAD", "OPTIONS", "TRACE" };
    for (int i = 0; i < 4; i++) {
        if (method && strcmp(method, safe[i]) == 0) return true;
    }
    return false;
}

bool session_is_same_origin(void) {
    if (is_safe()) return true;
    const char *site = getenv("HTTP_SEC_FETCH_SITE"), *origin = getenv("HTTP_ORIGIN");
    if (site) return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    return !origin || is_own(origin, getenv("HTTP_HOST"));
}

bool session_check_csrf(session_t session, const char *token, bool *is_same_origin, session_error_t *error) {
    *is_same_origin = session_is_same_origin();
    if (!*is_same_origin || is_safe() || getenv("HTTP_SEC_FETCH_SITE") || getenv("HTTP_ORIGIN")) return true;
    application_string_t text = borrowed(token ? token : "");
    return lemon_session_sessions_method_session_check_csrf(session, &text, is_same_origin, error);
}

bool session_csrf_token(session_t session, char **token, session_error_t *error) {
    application_string_t text;
    if (!lemon_session_sessions_method_session_csrf_token(session, &text, error)) return false;
    *token = copied(text.ptr, text.len);
    return true;
}

bool session_start(const char *app, session_t *session, session_error_t *error) {
    const char *field = getenv("HTTP_COOKIE");
    application_list_u8_t cookie = { .ptr = (uint8_t *)field, .len = field ? strlen(field) : 0 };
    lemon_session_sessions_options_t options = { .cookies = { &cookie, field ? 1 : 0 }, .https = is_https() };
    if (app) options.app = (application_option_string_t){ .is_some = true, .val = borrowed(app) };
    lemon_session_sessions_own_session_t own;
    if (!lemon_session_sessions_start(&options, &own, error)) return false;
    *session = lemon_session_sessions_borrow_session(own);
    return true;
}

/* The text of a value that was read. */
static bool text_of(const char *name, const lemon_session_sessions_option_value_t *value, char **text, session_error_t *error) {
    *text = NULL;
    if (!value->is_some) return true;
    if (value->val.tag == LEMON_SESSION_TYPES_VALUE_TEXT) {
        *text = copied(value->val.val.text.ptr, value->val.val.text.len);
        return true;
    }
    char *why = NULL;
    if (asprintf(&why, "%s: the value is not a text", name) < 0) abort();
    error->tag = LEMON_SESSION_TYPES_ERROR_UNREADABLE;
    error->val.unreadable = borrowed(why);
    return false;
}

bool session_get_text(session_t session, const char *name, char **text, session_error_t *error) {
    application_string_t key = borrowed(name);
    lemon_session_sessions_option_value_t value;
    return lemon_session_sessions_method_session_get(session, &key, &value, error) && text_of(name, &value, text, error);
}

bool session_take_text(session_t session, const char *name, char **text, session_error_t *error) {
    application_string_t key = borrowed(name);
    lemon_session_sessions_option_value_t value;
    return lemon_session_sessions_method_session_take(session, &key, &value, error) && text_of(name, &value, text, error);
}

bool session_flash_text(session_t session, const char *text, session_error_t *error) {
    lemon_session_sessions_value_t value = { .tag = LEMON_SESSION_TYPES_VALUE_TEXT, .val.text = borrowed(text) };
    return lemon_session_sessions_method_session_flash(session, &value, error);
}

bool session_flash_texts(session_t session, char ***texts, session_error_t *error) {
    lemon_session_sessions_list_value_t values;
    if (!lemon_session_sessions_method_session_flashes(session, &values, error)) return false;
    char **next = *texts = calloc(values.len + 1, sizeof *next);
    if (!next) abort();
    for (size_t i = 0; i < values.len; i++) {
        const lemon_session_sessions_value_t *value = &values.ptr[i];
        if (value->tag == LEMON_SESSION_TYPES_VALUE_TEXT) *next++ = copied(value->val.text.ptr, value->val.text.len);
    }
    return true;
}

bool session_set_text(session_t session, const char *name, const char *text, session_error_t *error) {
    application_string_t key = borrowed(name);
    lemon_session_sessions_value_t value = { .tag = LEMON_SESSION_TYPES_VALUE_TEXT, .val.text = borrowed(text) };
    return lemon_session_sessions_method_session_set(session, &key, &value, error);
}

bool session_add(session_t session, const char *name, int64_t delta, int64_t *sum, session_error_t *error) {
    application_string_t key = borrowed(name);
    return lemon_session_sessions_method_session_add(session, &key, delta, sum, error);
}

bool session_regenerate_id(session_t session, session_error_t *error) {
    return lemon_session_sessions_method_session_regenerate_id(session, error);
}

bool session_set_owner(session_t session, const char *owner, session_error_t *error) {
    application_string_t name = borrowed(owner ? owner : "");
    return lemon_session_sessions_method_session_set_owner(session, owner ? &name : NULL, error);
}

bool session_authenticate(session_t session, const char *owner, const char *method, session_error_t *error) {
    application_string_t of = borrowed(owner), by = borrowed(method);
    return lemon_session_sessions_method_session_authenticate(session, &of, &by, error);
}

bool session_fresh_within(session_t session, uint32_t seconds, bool *is_fresh, session_error_t *error) {
    return lemon_session_sessions_method_session_fresh_within(session, seconds, is_fresh, error);
}

static application_option_u32_t optional(const uint32_t *seconds) {
    return (application_option_u32_t){ .is_some = seconds, .val = seconds ? *seconds : 0 };
}

bool session_set_lifetime(session_t session, const uint32_t *expires, const uint32_t *max_lifetime, const uint32_t *cookie,
                          session_error_t *error) {
    lemon_session_sessions_lifetime_t lifetime = { optional(expires), optional(max_lifetime), optional(cookie) };
    return lemon_session_sessions_method_session_set_lifetime(session, &lifetime, error);
}

bool session_remember(session_t session, uint32_t seconds, session_error_t *error) {
    return lemon_session_sessions_method_session_remember(session, seconds, error);
}

bool session_set_label(session_t session, const char *label, session_error_t *error) {
    application_string_t text = borrowed(label ? label : "");
    return lemon_session_sessions_method_session_set_label(session, label ? &text : NULL, error);
}

static char *text_if(const application_option_string_t *text) {
    return text->is_some ? copied(text->val.ptr, text->val.len) : NULL;
}

bool session_metadata(session_t session, session_metadata_t *metadata, session_error_t *error) {
    lemon_session_sessions_metadata_t known;
    if (!lemon_session_sessions_method_session_metadata(session, &known, error)) return false;
    *metadata = (session_metadata_t){
        .created = known.created,
        .accessed = known.accessed,
        .absolute_expiry = known.absolute_expiry.is_some ? known.absolute_expiry.val : 0,
        .authenticated_at = known.authenticated_at.is_some ? known.authenticated_at.val : 0,
        .method = text_if(&known.method),
        .label = text_if(&known.label),
        .address = text_if(&known.address),
        .user_agent = text_if(&known.user_agent),
    };
    return true;
}

bool session_save(session_t session, session_headers_t *headers, session_error_t *error) {
    return lemon_session_sessions_method_session_save(session, headers, error);
}

bool session_destroy(session_t session, session_headers_t *headers, session_error_t *error) {
    return lemon_session_sessions_method_session_destroy(session, headers, error);
}

void session_print_headers(const session_headers_t *headers) {
    for (size_t i = 0; i < headers->len; i++) {
        const lemon_session_sessions_header_t *header = &headers->ptr[i];
        printf("%.*s: %.*s\r\n", (int)header->f0.len, header->f0.ptr, (int)header->f1.len, header->f1.ptr);
    }
}

int session_error_status(const session_error_t *error) {
    switch (error->tag) {
    case LEMON_SESSION_TYPES_ERROR_DENIED: return 403;
    case LEMON_SESSION_TYPES_ERROR_CONFLICT:
    case LEMON_SESSION_TYPES_ERROR_GONE: return 409;
    case LEMON_SESSION_TYPES_ERROR_TOO_LARGE: return 413;
    case LEMON_SESSION_TYPES_ERROR_TOO_MANY: return 429;
    case LEMON_SESSION_TYPES_ERROR_STORAGE: return 503;
    default: return 500;
    }
}

const char *session_error_text(const session_error_t *error) {
    switch (error->tag) {
    case LEMON_SESSION_TYPES_ERROR_CONFLICT: return "another request saved this session first";
    case LEMON_SESSION_TYPES_ERROR_GONE: return "the session has ended";
    /* All other cases have a text, in the same place. */
    default: return copied(error->val.storage.ptr, error->val.storage.len);
    }
}
