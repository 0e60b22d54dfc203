/* `compress bundle`: a directory of evidence as one tar.zst, and back for checking. */
#ifndef FVOL_COMPRESS_BUNDLE_H
#define FVOL_COMPRESS_BUNDLE_H

#include "toolkit/compress/options.h"

/* Returns the exit code. */
int bundle_make(const struct options *opt);
int bundle_check(const struct options *opt);

#endif
