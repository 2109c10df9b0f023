/* Any Cortex-M3 (and M4, M7): the vectors, and the call of the host. */
#include "board.h"

typedef struct {
    uint32_t *stack;
    void (*reset)(void);
} table;

__attribute__((section(".vectors"), used)) static const table vectors = {stack_top, reset};

int32_t host(int32_t operation, const void *arguments)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
