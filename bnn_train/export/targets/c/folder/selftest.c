/* The network's answers on images that are made here, against those of the packed network. */
#include <stdio.h>
#include <string.h>

#include "bnn.h"
#include "vectors.h"

static bnn_memory memory;

/* Noise, smoothed where the number is even. */
static void draw(uint32_t number)
{
    uint8_t *image = bnn_image(&memory);
    uint32_t state = number, noise, last = 128;
    long i;
    for (i = 0; i < (long)BNN_HEIGHT * BNN_WIDTH * BNN_CHANNELS; i++) {
        state = state * 1664525u + 1013904223u;
        noise = state >> 24;
        last = number % 2 ? noise : (3 * last + noise) / 4;
        image[i] = (uint8_t)last;
    }
}

int main(void)
{
    int n, wrong = 0;
    for (n = 0; n < VECTORS; n++) {
        //: if logits
        float logits[BNN_CLASSES];
        int o;
        draw((uint32_t)n + 1);
        bnn_logits(&memory, logits);
        for (o = 0; o < BNN_CLASSES; o++) {
            float wanted;
            memcpy(&wanted, &expected_logits[n * BNN_CLASSES + o], sizeof wanted);
            //: if exact
            if (memcmp(&wanted, &logits[o], sizeof wanted) != 0) {
            //: end
            //: unless exact
            /* The order of real sums is open: the last bits may differ. */
            if (!(logits[o] - wanted <= TOLERANCE && wanted - logits[o] <= TOLERANCE)) {
            //: end
                printf("image %d, class %d: logit %.9g, not %.9g\n", n, o, logits[o], wanted);
                wrong++;
            }
        }
        //: end
        draw((uint32_t)n + 1);
        if (bnn_answer(&memory) != expected_answers[n]) {
            printf("image %d: another answer than %d\n", n, expected_answers[n]);
            wrong++;
        }
    }
    printf(wrong ? "%d faults\n" : "%d faults: the network is the packed one on all vectors\n", wrong);
    return wrong != 0;
}
