/* What a program asks of the machine that debugs it (semihosting). */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT = 0x18 };
enum { READ_BYTES = 1, WRITE_BYTES = 5, APPLICATION_EXIT = 0x20026, RUNTIME_ERROR = 0x20023 };

/* The linker script's: RAM behind the variables, and its end, from which the stack grows down. */
extern uint32_t free_begin[], stack_top[];

int32_t host(int32_t operation, const void *arguments);
int main(void);
void reset(void);

#endif
