/*
 * A program of the volume whose disk is pulled out cannot read the parts of itself that
 * it has not run yet: the kernel kills it by SIGBUS, which says nothing to anybody.
 * (Reading all of it in advance would take the machine's free pages, which are evidence.)
 */
#ifndef FVOL_GONE_H
#define FVOL_GONE_H

/*
 * From now on that ends the program with exit code 5 and a sentence on stderr. What is
 * needed for it is locked in memory: two or three pages that are in use anyhow. program
 * is cut to 32 bytes.
 */
void gone_guard(const char *program);

#endif
