/* The functions of logins and lifetimes in lemon_session.h over calls that note what they are given. */

#include "lemon_session.h"

#undef NDEBUG
#include <assert.h>
#include <string.h>

static const session_t SESSION = { 7 };

static void is(const application_string_t *text, const char *expected) {
    assert(text->len == strlen(expected) && memcmp(text->ptr, expected, text->len) == 0);
}

static bool refuses;

static bool answer(session_t session, session_error_t *error) {
    assert(session.__handle == SESSION.__handle);
    if (refuses) *error = (session_error_t){ .tag = LEMON_SESSION_TYPES_ERROR_GONE };
    return !refuses;
}

bool lemon_session_sessions_method_session_authenticate(session_t self, application_string_t *owner, application_string_t *method,
                                                        session_error_t *err) {
    is(owner, "Ada");
    is(method, "passkey");
    return answer(self, err);
}

bool lemon_session_sessions_method_session_fresh_within(session_t self, uint32_t seconds, bool *ret, session_error_t *err) {
    *ret = seconds == 300;
    return answer(self, err);
}

static lemon_session_sessions_lifetime_t lifetime;

bool lemon_session_sessions_method_session_set_lifetime(session_t self, lemon_session_sessions_lifetime_t *given,
                                                        session_error_t *err) {
    lifetime = *given;
    return answer(self, err);
}

static uint32_t remembered;

bool lemon_session_sessions_method_session_remember(session_t self, uint32_t seconds, session_error_t *err) {
    remembered = seconds;
    return answer(self, err);
}

static application_string_t *label;

bool lemon_session_sessions_method_session_set_label(session_t self, application_string_t *maybe_label, session_error_t *err) {
    label = maybe_label;
    if (label) is(label, "Ada’s phone");
    return answer(self, err);
}

static lemon_session_sessions_metadata_t known;

bool lemon_session_sessions_method_session_metadata(session_t self, lemon_session_sessions_metadata_t *ret, session_error_t *err) {
    *ret = known;
    return answer(self, err);
}

int main(void) {
    session_error_t error;
    assert(session_authenticate(SESSION, "Ada", "passkey", &error));

    bool is_fresh;
    assert(session_fresh_within(SESSION, 300, &is_fresh, &error) && is_fresh);
    assert(session_fresh_within(SESSION, 299, &is_fresh, &error) && !is_fresh);

    uint32_t expires = 60, never = 0;
    assert(session_set_lifetime(SESSION, &expires, NULL, &never, &error));
    assert(lifetime.expires.is_some && lifetime.expires.val == 60 && !lifetime.max_lifetime.is_some);
    assert(lifetime.cookie.is_some && lifetime.cookie.val == 0);
    assert(session_set_lifetime(SESSION, NULL, &expires, NULL, &error));
    assert(!lifetime.expires.is_some && lifetime.max_lifetime.val == 60 && !lifetime.cookie.is_some);
    assert(session_remember(SESSION, 90, &error) && remembered == 90);

    assert(session_set_label(SESSION, "Ada’s phone", &error) && label);
    assert(session_set_label(SESSION, NULL, &error) && !label);

    session_metadata_t metadata;
    known = (lemon_session_sessions_metadata_t){ .created = 1, .accessed = 2 };
    assert(session_metadata(SESSION, &metadata, &error));
    assert(metadata.created == 1 && metadata.accessed == 2 && !metadata.absolute_expiry && !metadata.authenticated_at);
    assert(!metadata.method && !metadata.label && !metadata.address && !metadata.user_agent);
    /* Not ended by a zero byte. */
    uint8_t text[] = { 'p', 'h', 'o', 'n', 'e' };
    known.authenticated_at = (application_option_u64_t){ true, 3 };
    known.absolute_expiry = (application_option_u64_t){ true, 4 };
    known.method = (application_option_string_t){ true, { text, 4 } };
    known.label = (application_option_string_t){ true, { text, 5 } };
    known.address = (application_option_string_t){ true, { text, 3 } };
    known.user_agent = (application_option_string_t){ true, { text, 2 } };
    assert(session_metadata(SESSION, &metadata, &error));
    assert(metadata.authenticated_at == 3 && metadata.absolute_expiry == 4);
    assert(strcmp(metadata.method, "phon") == 0 && strcmp(metadata.label, "phone") == 0);
    assert(strcmp(metadata.address, "pho") == 0 && strcmp(metadata.user_agent, "ph") == 0);

    refuses = true;
    assert(!session_authenticate(SESSION, "Ada", "passkey", &error) && session_error_status(&error) == 409);
    assert(!session_metadata(SESSION, &metadata, &error) && !session_remember(SESSION, 1, &error));
    assert(!session_set_label(SESSION, NULL, &error) && !session_set_lifetime(SESSION, NULL, NULL, NULL, &error));
    assert(!session_fresh_within(SESSION, 1, &is_fresh, &error));
}
