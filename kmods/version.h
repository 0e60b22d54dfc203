/*
 * Which of two package versions is the newer one, by the rules of the two families: the
 * one of Debian's policy (5.6.12) and the one of rpm (rpmvercmp). Any bytes may come in.
 */
#ifndef FVOL_KMODS_VERSION_H
#define FVOL_KMODS_VERSION_H

/*
 * Compares two versions [EPOCH:]VERSION[-REVISION]. Returns a number below, at or above
 * 0 as strcmp() does.
 */
int version_compare_deb(const char *a, const char *b);
int version_compare_rpm(const char *a, const char *b);

#endif
