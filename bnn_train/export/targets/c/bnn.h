/* @WHAT@, as portable C99.

   Put an image into bnn_image(&memory), rows first, the channels of a pixel side by side, a byte each; then ask.
   The image's place is used again while the network runs: fill it anew for every question. All state is in
   `memory`: as many networks may run at once as there are of them. */
#ifndef BNN_H
#define BNN_H

#include <stdint.h>

#define BNN_HEIGHT @HEIGHT@
#define BNN_WIDTH @WIDTH@
#define BNN_CHANNELS @CHANNELS@
#define BNN_CLASSES @CLASSES@
#define BNN_MEMORY_BYTES (4L * @WORDS@)
/* const char *const names[] = {BNN_CLASS_NAMES}; */
#define BNN_CLASS_NAMES @NAMES@

typedef struct {
    uint32_t words[@WORDS@];
} bnn_memory;

/* BNN_HEIGHT * BNN_WIDTH * BNN_CHANNELS bytes, to be filled. */
uint8_t *bnn_image(bnn_memory *memory);

/* The most likely class, from 0 on. */
int bnn_answer(bnn_memory *memory);

//: if logits
/* A number for each class; the largest one is the answer. */
void bnn_logits(bnn_memory *memory, float logits[BNN_CLASSES]);

//: end
#endif
