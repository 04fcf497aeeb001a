// One case a function of libc that opens or closes descriptors: what it leaves open, by its own word. main.c runs one
// case and then lists what the kernel says is open, so that a tool's ledger can be compared with both.
#ifndef LEAKHUNT_TESTS_HANDLES_CASE_H_
#define LEAKHUNT_TESTS_HANDLES_CASE_H_

#include <stdlib.h>

struct HandleCase {
  const char* name;
  const char* type;  // what a report calls it; "" when several types or none stay open
  int stays_open;    // descriptors that are open when it returns and were not before
  void (*run)(void);
  struct HandleCase* next;
};

void RegisterHandleCase(struct HandleCase* handle_case);

// Defines the function handle_NAME, which must leave `count` descriptors of `kind` open.
#define HANDLE_CASE(id, kind, count)                                              \
  static void handle_##id(void);                                                  \
  __attribute__((constructor)) static void register_##id(void) {                  \
    static struct HandleCase handle_case = {#id, kind, count, handle_##id, NULL}; \
    RegisterHandleCase(&handle_case);                                             \
  }                                                                               \
  __attribute__((noinline)) static void handle_##id(void)

// The case cannot be run here (an old kernel, a missing right): exit status 77.
__attribute__((noreturn)) void NotHere(const char* what);

// Ends the program when a step of a case did not do what it should.
#define MUST(condition) \
  if (!(condition)) MustFailed(#condition, __FILE__, __LINE__)
__attribute__((noreturn)) void MustFailed(const char* what, const char* file, int line);

#endif  // LEAKHUNT_TESTS_HANDLES_CASE_H_
