/* The form in a request. */

/* A field of the form in the request, without space around it; empty if the form does not have it. */
const char *form_field(const char *name);

/* The number of characters of a text; -1 if it is not UTF-8, which browsers always send, or if one is a control character, which no
 * name may contain. */
int characters(const char *text);
