// A frame whose caller is found by rbx, as hand-written assembly may have it: its rules name neither rsp nor rbp.
// Keeps 1,000 blocks, then exits.
#include <stdint.h>
#include <stdlib.h>

void *kept[1000];

__attribute__((noinline, used)) void Allocate(uint64_t number) { kept[number] = malloc(48); }

// Keeps its frame's address in rbx and moves rsp and rbp away from where they were.
void AroundRbx(uint64_t number);
__asm__(
    ".text\n"
    ".type AroundRbx, @function\n"
    "AroundRbx:\n"
    "  .cfi_startproc\n"
    "  pushq %rbx\n"
    "  .cfi_def_cfa_offset 16\n"
    "  .cfi_offset rbx, -16\n"
    "  movq %rsp, %rbx\n"
    "  .cfi_def_cfa rbx, 16\n"
    "  pushq %rbp\n"
    "  .cfi_offset rbp, -24\n"
    "  xorl %ebp, %ebp\n"
    "  shlq $7, %rdi\n"  // a frame of a size that nobody can know beforehand
    "  subq %rdi, %rsp\n"
    "  shrq $7, %rdi\n"
    "  subq $8, %rsp\n"
    "  andq $-16, %rsp\n"
    "  call Allocate\n"
    "  movq -8(%rbx), %rbp\n"
    "  movq %rbx, %rsp\n"
    "  popq %rbx\n"
    "  .cfi_def_cfa rsp, 8\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size AroundRbx, .-AroundRbx\n");

int main(void) {
  for (uint64_t number = 0; number < 1000; ++number) AroundRbx(number);
  return 0;
}
