/*
 * memdiff: how many pages of System RAM differ between two saves by the hypervisor.
 */
#include "memimage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "memdiff"

static struct mem_image before, after;
static struct mem_ranges ram;

int main(int argc, char **argv)
{
	unsigned long long pages = 0, changed = 0;

	if (argc != 4) {
		fputs("usage: memdiff BEFORE AFTER IOMEM\n"
		      "Prints `pages=N changed=N' over the System RAM of the saved /proc/iomem.\n"
		      "Exit: 0 counted; 2 usage; 5 unreadable, or a save that lacks a range.\n",
		      stderr);
		return 2;
	}
	if (mem_open(&before, PROGRAM, argv[1]) < 0 ||
	    mem_open(&after, PROGRAM, argv[2]) < 0 ||
	    mem_ranges(&ram, PROGRAM, argv[3]) < 0)
		return 5;
	for (size_t i = 0; i < ram.count; i++) {
		for (uint64_t done = 0; done < ram.seg[i].len;) {
			uint64_t phys = ram.seg[i].start + done, have_b = 0, have_a = 0;
			uint64_t n = MEM_PAGE - phys % MEM_PAGE;

			if (n > ram.seg[i].len - done)
				n = ram.seg[i].len - done;
			const unsigned char *b = mem_at(&before, phys, &have_b);
			const unsigned char *a = mem_at(&after, phys, &have_a);
			if (!a || !b || have_a < n || have_b < n) {
				fprintf(stderr, PROGRAM ": a save lacks %llx\n",
					(unsigned long long)phys);
				return 5;
			}
			pages++;
			changed += !!memcmp(a, b, n);
			done += n;
		}
	}
	printf("pages=%llu changed=%llu\n", pages, changed);
	return fflush(stdout) ? 5 : 0;
}
