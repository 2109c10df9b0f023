/* Images from the standard input, their bytes one image after the other, to answers on the standard output: a line
   each, or with --raw what a program reads: @RAW@. */
#include <stdio.h>
#include <string.h>

#include "bnn.h"

static bnn_memory memory;
static uint8_t image[(long)BNN_HEIGHT * BNN_WIDTH * BNN_CHANNELS];
static const char *const names[] = {BNN_CLASS_NAMES};

int main(int count, char **arguments)
{
    const int raw = count > 1 && strcmp(arguments[1], "--raw") == 0;
    while (fread(image, sizeof image, 1, stdin) == 1) {
        int32_t answer;
        //: if logits
        float logits[BNN_CLASSES];
        memcpy(bnn_image(&memory), image, sizeof image);
        bnn_logits(&memory, logits);
        if (raw) {
            fwrite(logits, sizeof logits, 1, stdout);
            continue;
        }
        //: end
        memcpy(bnn_image(&memory), image, sizeof image);
        answer = bnn_answer(&memory);
        //: unless logits
        if (raw) {
            fwrite(&answer, sizeof answer, 1, stdout);
            continue;
        }
        //: end
        printf("%ld %s\n", (long)answer, names[answer]);
    }
    return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
