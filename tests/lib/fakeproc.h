/*
 * A stand-in for /proc: a directory with an iomem and a kcore of a small machine whose
 * every 8-byte word holds its own physical address, so that a reader of the image can
 * tell where a byte came from.
 */
#ifndef FVOL_TESTS_FAKEPROC_H
#define FVOL_TESTS_FAKEPROC_H

#include <stdint.h>

/* The machine: a range that ends inside a page, one split over two segments, one above
 * 4 GiB; and a nested range of a virtio-mem device. */
#define FAKE_IOMEM                                                                       \
	"00000000-00000fff : Reserved\n"                                                 \
	"00001000-0009fbff : System RAM\n"                                               \
	"0009fc00-0009ffff : Reserved\n"                                                 \
	"00100000-004fffff : System RAM\n"                                               \
	"  00200000-002fffff : Kernel code\n"                                            \
	"fee00000-fee00fff : Local APIC\n"                                               \
	"100000000-1000fffff : System RAM\n"                                             \
	"200000000-2ffffffff : virtio0\n"                                                \
	"  200000000-2000fffff : System RAM (virtio_mem)\n"
#define FAKE_RAM_BYTES (0x9ec00ull + 0x400000 + 0x100000 + 0x100000)
#define FAKE_RANGES 4
/* Of the first range's last page, which no segment holds. */
#define FAKE_GAP_START 0x9f000ull
#define FAKE_GAP_BYTES 0xc00ull

/* The word at a physical address. */
uint64_t fake_word(uint64_t phys);

/*
 * Writes iomem and kcore below dirfd. The last cut_bytes of kcore are missing, so that
 * reading them gives nothing. Returns 0, or -1 with errno set.
 */
int fakeproc_write(int dirfd, const char *iomem, uint64_t cut_bytes);

/*
 * Adds a VMCOREINFO note of this text (at most 4 KiB) to the kcore below dirfd that
 * fakeproc_write() made. Returns 0, or -1 with errno set.
 */
int fakeproc_add_vmcoreinfo(int dirfd, const char *text);

#endif
