#include "preload/hooks/standing.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "preload/core/thread_state.h"
#include "preload/hooks/hook.h"
#include "preload/imports/redirection.h"
#include "preload/sys/atomic.h"
#include "preload/sys/own_stack.h"
#include "preload/unwind/dynamic_symbol.h"
#include "preload/unwind/loader_list.h"

// The linker's names for the ends of the section.
extern "C" __attribute__((visibility("hidden"))) leakhunt::hooks::Real<void()> __start_leakhunt_reals[], __stop_leakhunt_reals[];

namespace leakhunt::hooks {
namespace {

enum class Known : uint32_t { kNo = 0, kPreloaded = 1, kInjected = 2 };
constinit Known g_known = Known::kNo;

bool IsOurs(const void* found) { return imports::InOwnImage(reinterpret_cast<uint64_t>(found)); }

// The first object's definition in load order, but the main program's.
void* FindInLibraries(const unwind::MainProgram& main, const char* name) {
  for (const link_map* object = unwind::FirstListed(main); object != nullptr; object = object->l_next) {
    if (object->l_ld == nullptr || object->l_ld == main.dynamic) continue;
    uint64_t found = unwind::FindDynamicFunction(object->l_addr, object->l_ld, name);
    if (found != 0) return reinterpret_cast<void*>(found);
  }
  return nullptr;
}

// What the program's own calls of `name` reach; this library's function where it stands first. An address inside the
// main program that it does not define is its linkage stub (psABI: "Function Addresses"), which leads to an import.
void* FindFirst(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  if (found == nullptr || IsOurs(found)) return found;
  unwind::MainProgram main = unwind::FindMainProgram();
  uint64_t address = reinterpret_cast<uint64_t>(found);
  if (address < main.start || address >= main.end || main.dynamic == nullptr) return found;
  if (unwind::FindDynamicFunction(main.bias, main.dynamic, name) == address) return found;
  return FindInLibraries(main, name);
}

void* Find(const char* name) {
  if (FindStanding() == Standing::kPreloaded) return dlsym(RTLD_NEXT, name);
  void* found = FindFirst(name);
  return IsOurs(found) ? nullptr : found;
}

// Runs `work` with the thread busy and errno kept: dlsym may allocate, and may set errno also when it succeeds. That it
// failed is not for the program's next dlerror to say. dlsym needs more stack than a hook may use. It runs on the program's stack
// all the same where there may be a second thread, which may hold the loader's lock: who waits for it must take signals.
template <typename Work>
auto Asking(Work work) {
  int saved = errno;
  ++core::t_local.busy;
  ++core::t_local.paused;  // nor is what it allocates a loss
  decltype(work()) result{};
  const auto ask = [&] {
    result = work();
    dlerror();
  };
  if (!sys::HasOneThread() || !sys::OnOwnStack(ask)) ask();
  --core::t_local.paused;
  --core::t_local.busy;
  errno = saved;
  return result;
}

}  // namespace

Standing FindStanding() {
  Known known = sys::LoadRelaxed(&g_known);
  if (known == Known::kNo) {
    // No program defines all three; one that defines malloc itself is preloaded all the same.
    known = Asking([] { return IsOurs(FindFirst("_exit")) || IsOurs(FindFirst("malloc")) || IsOurs(FindFirst("close")); })
                ? Known::kPreloaded
                : Known::kInjected;
    sys::StoreRelaxed(&g_known, known);
  }
  return known == Known::kPreloaded ? Standing::kPreloaded : Standing::kInjected;
}

bool ExecutableDefinesMalloc() {
  if (FindStanding() != Standing::kPreloaded) return false;
  return !Asking([] { return IsOurs(FindFirst("malloc")); });
}

void* FindAllocatorFunction(const char* name) {
  if (FindStanding() == Standing::kPreloaded) {
    void* first = FindFirst(name);
    if (first != nullptr && !IsOurs(first)) return first;
  }
  return Find(name);
}

void* FindNext(const char* name) {
  return Asking([name] { return Find(name); });
}

void FindEvery() {
  static constinit uint32_t done = 0;
  if (__atomic_exchange_n(&done, 1u, __ATOMIC_RELAXED) != 0) return;
  for (Real<void()>* real = __start_leakhunt_reals; real != __stop_leakhunt_reals; ++real) real->Get();
}

}  // namespace leakhunt::hooks
