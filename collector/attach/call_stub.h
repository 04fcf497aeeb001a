// The code that runs in the stopped thread: loads a library, calls one function of it, and goes back by itself to what
// the thread was doing. No tracer is needed for that: should the collector die meanwhile, nothing is left half done.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <string>

namespace leakhunt::attach {

// What the code works on, in the process's memory. The offsets are known to call_stub.cc's assembly.
struct alignas(64) CallBlock {
  // what to call
  uint64_t dlopen, dlopen_flags, dlsym, dlerror, errno_location;
  uint64_t library_path, function_name, argument;  // addresses
  // what came of it
  uint64_t library;     // dlopen's handle; 0: error_text
  uint64_t function;    // 0: not in the library
  uint64_t error_text;  // dlerror's answer
  uint64_t result;      // the function's answer
  uint64_t done;        // 1: the thread is on its way back
  // how to go back
  uint64_t saved_errno, saved_errno_place;
  uint64_t flags;
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t rip;
  alignas(64) unsigned char vectors[16384];  // XSAVE area (Intel SDM vol. 1, ch. 13)
};

// Machine code, position-independent; entered with rbx = address of the CallBlock and an aligned stack of its own. Its
// last jump goes through 8 bytes that follow it directly: the value of `rip`.
std::string CallStub(uint64_t resume_at);

void SetResume(const user_regs_struct& registers, CallBlock* block);

}  // namespace leakhunt::attach
