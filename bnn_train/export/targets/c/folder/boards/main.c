/* Answers the images of images.raw, a byte each into answers.raw, and tells how much stack that took. */
#include "bnn.h"
#include "board.h"

#if BNN_CLASSES > 256
#error "answers are written in a byte each"
#endif

#define PAINT 0xa5a5a5a5u

static bnn_memory memory;

static int32_t opened(const char *name, int32_t length, int32_t mode)
{
    const intptr_t arguments[3] = {(intptr_t)name, mode, length};
    return host(SYS_OPEN, arguments);
}

/* Bytes that were not moved. */
static int32_t moved(int32_t operation, int32_t file, const void *bytes, int32_t count)
{
    const intptr_t arguments[3] = {file, (intptr_t)bytes, count};
    return host(operation, arguments);
}

static void tell_stack(void)
{
    char text[6] = {0, 0, 0, 0, '\n', 0};
    const uint32_t *at = free_begin;
    int32_t used, i;
    while (*at == PAINT)
        at++;
    used = (int32_t)(4 * (stack_top - at));
    for (i = 3; i >= 0; i--) {
        text[i] = (char)('0' + used % 10);
        used /= 10;
    }
    host(SYS_WRITE0, "bytes of stack: ");
    host(SYS_WRITE0, text);
}

int main(void)
{
    const int32_t images = opened("images.raw", 10, READ_BYTES), answers = opened("answers.raw", 11, WRITE_BYTES);
    if (images < 0 || answers < 0)
        return 1;
    while (moved(SYS_READ, images, bnn_image(&memory), (int32_t)BNN_HEIGHT * BNN_WIDTH * BNN_CHANNELS) == 0) {
#ifdef BNN_BOARD_LOGITS
        float logits[BNN_CLASSES];
        bnn_logits(&memory, logits);
        moved(SYS_WRITE, answers, logits, (int32_t)sizeof logits);
#else
        const uint8_t answer = (uint8_t)bnn_answer(&memory);
        moved(SYS_WRITE, answers, &answer, 1);
#endif
    }
    moved(SYS_CLOSE, answers, 0, 0);
    tell_stack();
    return 0;
}

/* Where both boards begin, the stack in place. */
void reset(void)
{
    uint32_t *at = free_begin;
    const uint32_t *end = (const uint32_t *)__builtin_frame_address(0) - 16;
    while (at < end)
        *at++ = PAINT;
    host(SYS_EXIT, (const void *)(intptr_t)(main() ? RUNTIME_ERROR : APPLICATION_EXIT));
    for (;;)
        ;
}
