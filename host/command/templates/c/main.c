/* A page with a login, a form, and messages that are shown once.
 *
 * Every change is a POST that is answered with a redirect to the page, so that a reload repeats nothing. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"
#include "lemon_session.h"
#include "page.h"

#define LONGEST_NAME 100
#define LONGEST_NOTE 200
#define MOST_NOTES 20

static session_error_t error;

static void begin(int status, const session_headers_t *headers) {
    printf("Status: %d\r\n", status);
    if (headers) session_print_headers(headers);
    printf("Content-Type: text/html; charset=utf-8\r\n");
    if (status == 303) printf("Location: /\r\n");
    printf("\r\n");
}

/* Ends the request with a call's error, if it failed. */
static void check(bool ok) {
    if (ok) return;
    const char *why = session_error_text(&error);
    fprintf(stderr, "%s\n", why);
    begin(session_error_status(&error), NULL);
    page_print_error(why);
    exit(0);
}

static session_t start(void) {
    session_t session;
    check(session_start(NULL, &session, &error));
    return session;
}

static char *get(session_t session, const char *name) {
    char *text;
    check(session_get_text(session, name, &text, &error));
    return text;
}

static void set(session_t session, const char *name, const char *text) {
    check(session_set_text(session, name, text, &error));
}

/* Saves the session, and sends the visitor back to the page. */
static void redirect(session_t session) {
    session_headers_t headers;
    check(session_save(session, &headers, &error));
    begin(303, &headers);
}

static void show(void) {
    session_t session = start();
    char *user = get(session, "user"), *notes = get(session, "notes"), **messages;
    check(session_flash_texts(session, &messages, &error));
    session_headers_t headers;
    check(session_save(session, &headers, &error));
    begin(200, &headers);
    page_print(user, notes, messages);
}

static void login(const char *name) {
    session_t session = start();
    char message[LONGEST_NAME * 4 + 32];
    if (characters(name) < 1 || characters(name) > LONGEST_NAME) {
        snprintf(message, sizeof message, "Enter a name of 1 to %d characters.", LONGEST_NAME);
    } else {
        /* Any name is accepted here: check a password before this. */
        check(session_authenticate(session, name, "name", &error));
        set(session, "user", name);
        snprintf(message, sizeof message, "Welcome, %s.", name);
    }
    check(session_flash_text(session, message, &error));
    redirect(session);
}

/* Adds a line to the notes, and leaves out the oldest ones beyond MOST_NOTES. */
static void add_note(session_t session, const char *text) {
    char *notes = get(session, "notes"), *kept = notes ? notes : "", *all = NULL;
    int count = 1;
    for (const char *at = kept; *at; at++) count += *at == '\n';
    for (; count > MOST_NOTES; count--) kept = strchr(kept, '\n') + 1;
    if (asprintf(&all, "%s%s\n", kept, text) < 0) abort();
    set(session, "notes", all);
}

static void note(const char *text) {
    session_t session = start();
    char message[64];
    if (!get(session, "user")) {
        strcpy(message, "Log in first.");
    } else if (characters(text) < 1 || characters(text) > LONGEST_NOTE) {
        snprintf(message, sizeof message, "Enter a note of 1 to %d characters.", LONGEST_NOTE);
    } else {
        add_note(session, text);
        strcpy(message, "Your note is saved.");
    }
    check(session_flash_text(session, message, &error));
    redirect(session);
}

static void logout(void) {
    session_headers_t headers;
    check(session_destroy(start(), &headers, &error));
    begin(303, &headers);
}

static void refuse(int status, const char *why) {
    begin(status, NULL);
    page_print_error(why);
}

int main(void) {
    const char *method = getenv("REQUEST_METHOD"), *path = getenv("PATH_INFO");
    bool reads = method && (!strcmp(method, "GET") || !strcmp(method, "HEAD")), posts = method && !strcmp(method, "POST");
    if (!path || !*path) path = "/";
    /* A form on another site could log the visitor in under a name that is not the visitor's own. */
    if (!session_is_same_origin()) refuse(403, "cross-site: the request comes from another origin");
    else if (reads && !strcmp(path, "/")) show();
    else if (posts && !strcmp(path, "/login")) login(form_field("name"));
    else if (posts && !strcmp(path, "/notes")) note(form_field("note"));
    else if (posts && !strcmp(path, "/logout")) logout();
    else refuse(404, "There is no such page.");
}
