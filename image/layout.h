/*
 * Which inode and which blocks everything gets. The upper directories and the texts that
 * differ in each release stand together in front, with room to grow; the other
 * directories and the data follow in the order of the paths. Behind a parent, what has
 * not changed stays where it was, and what is new comes behind the data that is there.
 */
#ifndef FVOL_IMAGE_LAYOUT_H
#define FVOL_IMAGE_LAYOUT_H

#include "image/ext4.h"
#include "image/parent.h"
#include "image/tree.h"
#include "toolkit/lib/err.h"

/* Numbers the inodes of a settled tree. parent may be NULL. */
int layout_number(struct tree *tree, const struct parent *parent, struct err *err);

/*
 * Gives every node its blocks; all sizes are known, and behind a parent all digests but
 * those of what the build makes itself.
 */
int layout_place(struct tree *tree, const struct parent *parent, struct ext4_new *ext4,
		 struct err *err);

#endif
