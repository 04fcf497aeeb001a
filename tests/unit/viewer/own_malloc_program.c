/* A program whose own malloc is found before any preloaded one. */
#include <stddef.h>
static char pool[4096];
static size_t used;
void* malloc(size_t size) { return used + size > sizeof pool ? NULL : pool + (used += size) - size; }
void free(void* block) { (void)block; }
int main(void) { return malloc(1) == NULL; }
