#include "preload/hooks/kernel_entry.h"

#include <errno.h>

#include "preload/hooks/hook.h"
#include "preload/unwind/dynamic_symbol.h"
#include "preload/unwind/loader_list.h"

namespace leakhunt::hooks {
namespace {

constexpr char kNo = 0;

constexpr const char* kFunctions[] = {"open", "open64", "openat", "openat64", "close"};

const link_map* FindGlibc() {
  for (const link_map* object = unwind::FirstListed(unwind::FindMainProgram()); object != nullptr; object = object->l_next) {
    if (object->l_ld != nullptr && unwind::FindDynamicFunction(object->l_addr, object->l_ld, "gnu_get_libc_version") != 0) return object;
  }
  return nullptr;
}

// From 2.36 on libc's own way depends on the word; before, on one of its threads' structure. arc4random came with 2.36.
bool DecidesByTheWord(const link_map* glibc) { return unwind::FindDynamicFunction(glibc->l_addr, glibc->l_ld, "arc4random") != 0; }

bool AllAreOf(const link_map* glibc) {
  for (const char* name : kFunctions) {
    const uint64_t own = unwind::FindDynamicFunction(glibc->l_addr, glibc->l_ld, name);
    if (own == 0 || reinterpret_cast<uint64_t>(FindNext(name)) != own) return false;
  }
  return true;
}

__attribute__((constructor)) void Find() {
  const link_map* glibc = FindGlibc();
  if (glibc == nullptr || !DecidesByTheWord(glibc) || !AllAreOf(glibc)) return;
  // Its own word: a program may hold a copy (R_X86_64_COPY), which pthread_cancel does not clear.
  const uint64_t word = unwind::FindDynamicObject(glibc->l_addr, glibc->l_ld, "__libc_single_threaded");
  if (word != 0) sys::StoreRelaxed(&g_libc_only_enters, reinterpret_cast<const char*>(word));
}

}  // namespace

LEAKHUNT_HOT_WORD const char* g_libc_only_enters = &kNo;

void EnterThroughLibc() { sys::StoreRelaxed(&g_libc_only_enters, &kNo); }

int FailedWith(long result) {
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace leakhunt::hooks
