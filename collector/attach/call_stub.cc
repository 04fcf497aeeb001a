#include "collector/attach/call_stub.h"

#include <cstddef>

#include "collector/base/result.h"

extern "C" const char leakhunt_call_stub[], leakhunt_call_stub_end[];

#define LEAKHUNT_AT(FIELD) static_cast<int>(offsetof(leakhunt::attach::CallBlock, FIELD))

namespace leakhunt::attach {
namespace {

static_assert(offsetof(CallBlock, r15) == offsetof(CallBlock, rax) + 15 * 8);

// Never called: holds the code, with the block's offsets as constants (the sixteen registers by their distance to rax).
[[gnu::used, gnu::noinline]] void HoldStub() {
  asm volatile(R"(
    .pushsection .rodata.leakhunt_call_stub, "a"
    .globl leakhunt_call_stub
    .globl leakhunt_call_stub_end
  leakhunt_call_stub:
    cld
    movl $-1, %%eax
    movl $-1, %%edx
    xsave64 %c[vectors](%%rbx)
    call *%c[errno_location](%%rbx)
    movq %%rax, %c[saved_errno_place](%%rbx)
    movl (%%rax), %%eax
    movq %%rax, %c[saved_errno](%%rbx)
    movq %c[library_path](%%rbx), %%rdi
    movq %c[dlopen_flags](%%rbx), %%rsi
    call *%c[dlopen](%%rbx)
    movq %%rax, %c[library](%%rbx)
    testq %%rax, %%rax
    jz 1f
    movq %%rax, %%rdi
    movq %c[function_name](%%rbx), %%rsi
    call *%c[dlsym](%%rbx)
    movq %%rax, %c[function](%%rbx)
    testq %%rax, %%rax
    jz 2f
    movq %c[argument](%%rbx), %%rdi
    call *%%rax
    movslq %%eax, %%rax
    movq %%rax, %c[result](%%rbx)
    jmp 2f
  1:
    cmpq $0, %c[dlerror](%%rbx)
    je 2f
    call *%c[dlerror](%%rbx)
    movq %%rax, %c[error_text](%%rbx)
  2:
    movq %c[saved_errno_place](%%rbx), %%rax
    movq %c[saved_errno](%%rbx), %%rcx
    movl %%ecx, (%%rax)
    movl $-1, %%eax
    movl $-1, %%edx
    xrstor64 %c[vectors](%%rbx)
    leaq %c[flags](%%rbx), %%rsp
    popfq
    movq $1, %c[done](%%rbx)
    movq %c[rax](%%rbx), %%rax
    movq %c[rax] + 16(%%rbx), %%rcx
    movq %c[rax] + 24(%%rbx), %%rdx
    movq %c[rax] + 32(%%rbx), %%rsi
    movq %c[rax] + 40(%%rbx), %%rdi
    movq %c[rax] + 48(%%rbx), %%rbp
    movq %c[rax] + 56(%%rbx), %%rsp
    movq %c[rax] + 64(%%rbx), %%r8
    movq %c[rax] + 72(%%rbx), %%r9
    movq %c[rax] + 80(%%rbx), %%r10
    movq %c[rax] + 88(%%rbx), %%r11
    movq %c[rax] + 96(%%rbx), %%r12
    movq %c[rax] + 104(%%rbx), %%r13
    movq %c[rax] + 112(%%rbx), %%r14
    movq %c[rax] + 120(%%rbx), %%r15
    movq %c[rax] + 8(%%rbx), %%rbx
    jmp *leakhunt_call_stub_end(%%rip)
  leakhunt_call_stub_end:
    .popsection
  )"
               :
               : [vectors] "i"(LEAKHUNT_AT(vectors)), [errno_location] "i"(LEAKHUNT_AT(errno_location)),
                 [saved_errno_place] "i"(LEAKHUNT_AT(saved_errno_place)), [saved_errno] "i"(LEAKHUNT_AT(saved_errno)),
                 [library_path] "i"(LEAKHUNT_AT(library_path)), [dlopen_flags] "i"(LEAKHUNT_AT(dlopen_flags)),
                 [dlopen] "i"(LEAKHUNT_AT(dlopen)), [library] "i"(LEAKHUNT_AT(library)),
                 [function_name] "i"(LEAKHUNT_AT(function_name)), [dlsym] "i"(LEAKHUNT_AT(dlsym)),
                 [function] "i"(LEAKHUNT_AT(function)), [argument] "i"(LEAKHUNT_AT(argument)),
                 [result] "i"(LEAKHUNT_AT(result)), [dlerror] "i"(LEAKHUNT_AT(dlerror)),
                 [error_text] "i"(LEAKHUNT_AT(error_text)), [flags] "i"(LEAKHUNT_AT(flags)), [done] "i"(LEAKHUNT_AT(done)),
                 [rax] "i"(LEAKHUNT_AT(rax)));
}

}  // namespace

std::string CallStub(uint64_t resume_at) {
  std::string code(leakhunt_call_stub, leakhunt_call_stub_end);
  code.append(reinterpret_cast<const char*>(&resume_at), sizeof(resume_at));
  return code;
}

void SetResume(const user_regs_struct& registers, CallBlock* block) {
  block->flags = registers.eflags;
  block->rax = registers.rax;
  block->rbx = registers.rbx;
  block->rcx = registers.rcx;
  block->rdx = registers.rdx;
  block->rsi = registers.rsi;
  block->rdi = registers.rdi;
  block->rbp = registers.rbp;
  block->rsp = registers.rsp;
  block->r8 = registers.r8;
  block->r9 = registers.r9;
  block->r10 = registers.r10;
  block->r11 = registers.r11;
  block->r12 = registers.r12;
  block->r13 = registers.r13;
  block->r14 = registers.r14;
  block->r15 = registers.r15;
  block->rip = registers.rip;
}

}  // namespace leakhunt::attach
