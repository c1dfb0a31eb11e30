#include "lemon_session.h"

#include <inttypes.h>
#include <stdio.h>

int main(void) {
    session_t session;
    session_error_t error;
    session_headers_t headers;
    int64_t visits;
    if (!session_start("visits", &session, &error) || !session_add(session, "visits", 1, &visits, &error)
        || !session_save(session, &headers, &error)) {
        printf("Status: %d\r\nContent-Type: text/plain\r\n\r\n%s\n", session_error_status(&error), session_error_text(&error));
        return 0;
    }
    session_print_headers(&headers);
    printf("Content-Type: text/plain\r\n\r\nThis is your visit no. %" PRId64 "\n", visits);
}
