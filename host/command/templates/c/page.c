#include "page.h"

#include <stdio.h>

static const char *BEGIN =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>lemon-page</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<style>\n"
    ":root { color-scheme: light dark; }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; }\n"
    "main { max-width: 36rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }\n"
    "h1 { font-size: 1.5rem; padding-left: .7rem; border-left: .4rem solid #f2c800; }\n"
    "input, button, .flash { font: inherit; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem; }\n"
    "input { display: block; width: 100%; margin: .25rem 0 .75rem; }\n"
    "button { color: #222; background: #f2c800; }\n"
    ".flash { border-left: .4rem solid #f2c800; }\n"
    "</style>\n"
    "<main>\n"
    "<h1>lemon-page</h1>\n";

static const char *END =
    "\n"
    "</main>\n"
    "</html>\n";

static const char *LOGIN =
    "<p>Log in to keep notes. Any name is accepted.</p>\n"
    "<form method=\"post\" action=\"/login\">\n"
    "<label>Your name <input name=\"name\" autocomplete=\"username\" maxlength=\"100\" required></label>\n"
    "<button>Log in</button>\n"
    "</form>";

static const char *NOTE =
    "<form method=\"post\" action=\"/notes\">\n"
    "<label>A note <input name=\"note\" autocomplete=\"off\" maxlength=\"200\" required></label>\n"
    "<button>Save</button>\n"
    "</form>\n"
    "<ul>\n";

static const char *LOGOUT =
    "</ul>\n"
    "<form method=\"post\" action=\"/logout\">\n"
    "<button>Log out</button>\n"
    "</form>";

static void print(const char *html) {
    fputs(html, stdout);
}

static void print_character(char character) {
    switch (character) {
    case '&': print("&amp;"); break;
    case '<': print("&lt;"); break;
    case '>': print("&gt;"); break;
    default: putchar(character);
    }
}

/* Prints a text between tags. */
static void print_text(const char *before, const char *text, const char *after) {
    print(before);
    for (; *text; text++) print_character(*text);
    print(after);
}

static void print_notes(const char *notes) {
    while (*notes) {
        print("<li>");
        for (; *notes && *notes != '\n'; notes++) print_character(*notes);
        print("</li>\n");
        if (*notes) notes++;
    }
}

void page_print(const char *user, const char *notes, char **messages) {
    print(BEGIN);
    for (; *messages; messages++) print_text("<p class=\"flash\">", *messages, "</p>\n");
    if (user) {
        print_text("<p>You are logged in as ", user, ".</p>\n");
        print(NOTE);
        print_notes(notes ? notes : "");
        print(LOGOUT);
    } else {
        print(LOGIN);
    }
    print(END);
}

void page_print_error(const char *why) {
    print(BEGIN);
    print_text("<p>", why, "</p>\n<p><a href=\"/\">Back to the page</a></p>");
    print(END);
}
