/* How the page looks. */

/* Prints the page: for a visitor who is not logged in (user is NULL), with the login. Each of the notes is a line. The
 * messages end with NULL. */
void page_print(const char *user, const char *notes, char **messages);

/* Prints what a visitor sees of an error. */
void page_print_error(const char *why);
