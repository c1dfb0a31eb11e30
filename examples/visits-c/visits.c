#include "application.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char *field = getenv("HTTP_COOKIE"), *https = getenv("HTTPS");
    application_list_u8_t cookie = { (uint8_t *)field, field ? strlen(field) : 0 };
    lemon_session_sessions_options_t options = {
        .app = { .is_some = true }, .cookies = { &cookie, field ? 1 : 0 }, .https = https && !strcmp(https, "on"),
    };
    application_string_set(&options.app.val, "visits");
    application_string_t visits;
    application_string_set(&visits, "visits");

    lemon_session_sessions_own_session_t own;
    lemon_session_sessions_error_t error;
    lemon_session_sessions_list_header_t headers;
    int64_t count;
    if (!lemon_session_sessions_start(&options, &own, &error)) return 1;
    lemon_session_sessions_borrow_session_t session = lemon_session_sessions_borrow_session(own);
    if (!lemon_session_sessions_method_session_add(session, &visits, 1, &count, &error)) return 1;
    if (!lemon_session_sessions_method_session_save(session, &headers, &error)) return 1;

    for (size_t i = 0; i < headers.len; i++) {
        lemon_session_sessions_header_t *header = &headers.ptr[i];
        printf("%.*s: %.*s\r\n", (int)header->f0.len, header->f0.ptr, (int)header->f1.len, header->f1.ptr);
    }
    printf("Content-Type: text/plain\r\n\r\nThis is your visit no. %" PRId64 "\n", count);
}
