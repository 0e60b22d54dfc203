/*
 * The LiME v1 container: for each range a 32-byte header and then its bytes. All fields
 * little-endian: magic u32, version u32, start u64, end u64 INCLUSIVE, reserved u64 = 0.
 * Source: LiME's lime.h; Volatility 3's layers/lime.py reads it.
 */
#ifndef FVOL_LIME_H
#define FVOL_LIME_H

#include <stdint.h>

#include "toolkit/lib/ranges.h"

#define LIME_MAGIC 0x4c694d45u
#define LIME_VERSION 1u
#define LIME_HEADER_BYTES 32

void lime_header(const struct range *range, unsigned char out[LIME_HEADER_BYTES]);

/* Length of a whole image of these ranges. */
uint64_t lime_image_bytes(const struct ranges *ranges);

#endif
