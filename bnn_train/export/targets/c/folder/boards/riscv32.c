/* 32-bit RISC-V: the first instructions, and the call of the host. */
#include "board.h"

__asm__(".section .vectors, \"ax\"\n"
        ".global _start\n"
        "_start:\n"
        "    la sp, stack_top\n"
        "    j reset\n");

int32_t host(int32_t operation, const void *arguments)
{
    register int32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = arguments;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".balign 16\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}
