/*
 * fuzz_preload.c
 *		Loaded into the server beside AddressSanitizer's runtime.
 *
 * On Debian 12 a program that has libgnutls (here through libldap) waits for
 * ever in its next bindtextdomain() or setlocale() once libasan is preloaded:
 * gettext's lock stays taken.  Messages need no translation here.
 */
extern char *bindtextdomain(const char *domain, const char *directory);

char *
bindtextdomain(const char *domain, const char *directory)
{
	(void) domain;
	return (char *) directory;
}
