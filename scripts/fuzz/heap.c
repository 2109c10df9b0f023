// Counts the heap of a process: how many bytes are allocated, and the most there were since the last mark.
// Preloaded (LD_PRELOAD) it stands before glibc's malloc; under AddressSanitizer it listens through the sanitizer's hooks.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

static int64_t now, most;

static void add(int64_t bytes) {
  const int64_t total = __atomic_add_fetch(&now, bytes, __ATOMIC_RELAXED);
  int64_t seen = __atomic_load_n(&most, __ATOMIC_RELAXED);
  while (total > seen && !__atomic_compare_exchange_n(&most, &seen, total, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

// Starts anew; returns the bytes allocated at this moment.
int64_t heap_mark(void) {
  const int64_t total = __atomic_load_n(&now, __ATOMIC_RELAXED);
  __atomic_store_n(&most, total, __ATOMIC_RELAXED);
  return total;
}

int64_t heap_most(void) { return __atomic_load_n(&most, __ATOMIC_RELAXED); }

#ifdef ASAN

size_t __sanitizer_get_allocated_size(const volatile void* p);
int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void*, size_t), void (*freed)(const volatile void*));

static void taken(const volatile void* p, size_t bytes) {
  if (p) add((int64_t)bytes);
}
static void freed(const volatile void* p) {
  if (p) add(-(int64_t)__sanitizer_get_allocated_size(p));
}
__attribute__((constructor)) static void install(void) { __sanitizer_install_malloc_and_free_hooks(taken, freed); }

#else

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void*, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void*);

static void* counted(void* p) {
  if (p) add((int64_t)malloc_usable_size(p));
  return p;
}
void* malloc(size_t n) { return counted(__libc_malloc(n)); }
void* calloc(size_t n, size_t each) { return counted(__libc_calloc(n, each)); }
void free(void* p) {
  if (!p) return;
  add(-(int64_t)malloc_usable_size(p));
  __libc_free(p);
}
void* realloc(void* p, size_t n) {
  const int64_t before = p ? (int64_t)malloc_usable_size(p) : 0;
  void* q = __libc_realloc(p, n);
  if (q || n == 0) add((q ? (int64_t)malloc_usable_size(q) : 0) - before);
  return q;
}
void* memalign(size_t to, size_t n) { return counted(__libc_memalign(to, n)); }
void* aligned_alloc(size_t to, size_t n) { return memalign(to, n); }
int posix_memalign(void** p, size_t to, size_t n) {
  *p = memalign(to, n);
  return *p ? 0 : ENOMEM;
}

#endif
