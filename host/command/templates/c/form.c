#include "form.h"

#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* The longest form. Two fields of 200 characters are shorter. */
#define LONGEST 65536

static int hexadecimal(const char *digits) {
    char two[3] = { digits[0], digits[0] ? digits[1] : 0, 0 };
    return isxdigit((unsigned char)two[0]) && isxdigit((unsigned char)two[1]) ? (int)strtol(two, NULL, 16) : -1;
}

/* Decodes a part of a form in its place. Control characters, of which a zero byte would end the text, become spaces. */
static void decode(char *text) {
    char *out = text;
    for (; *text; text++) {
        int byte = *text == '%' ? hexadecimal(text + 1) : -1;
        if (byte >= 0) text += 2;
        else byte = (unsigned char)*text;
        *out++ = *text == '+' || byte < ' ' || byte == 0x7F ? ' ' : (char)byte;
    }
    *out = 0;
}

static char *trim(char *text) {
    text += strspn(text, " ");
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ') length--;
    text[length] = 0;
    return text;
}

const char *form_field(const char *name) {
    static char form[LONGEST + 1];
    size_t length = fread(form, 1, LONGEST, stdin);
    form[length] = 0;
    for (char *field = strtok(form, "&"); field; field = strtok(NULL, "&")) {
        char *value = strchr(field, '=');
        if (!value) continue;
        *value++ = 0;
        decode(field);
        if (strcmp(field, name) == 0) {
            decode(value);
            return trim(value);
        }
    }
    return "";
}

int characters(const char *text) {
    setlocale(LC_CTYPE, "C.UTF-8");
    mbstate_t state = { 0 };
    wchar_t character;
    int count = 0;
    for (size_t length; (length = mbrtowc(&character, text, MB_LEN_MAX, &state)) != 0; text += length, count++) {
        if (length == (size_t)-1 || length == (size_t)-2 || iswcntrl((wint_t)character)) return -1;
    }
    return count;
}
