// Threads: created, joined, detached. Nothing of ours runs in them or lies on their stacks.
#include <pthread.h>
#include <threads.h>

#include "preload/core/recorded_threads.h"
#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::CallReal;

namespace {

using Start = void*(void*);

LEAKHUNT_REAL hooks::Real<int(pthread_t*, const pthread_attr_t*, Start*, void*)> real_create("pthread_create");
LEAKHUNT_REAL hooks::Real<int(pthread_t, void**)> real_join("pthread_join");
LEAKHUNT_REAL hooks::Real<int(pthread_t, void**)> real_tryjoin("pthread_tryjoin_np");
LEAKHUNT_REAL hooks::Real<int(pthread_t, void**, const timespec*)> real_timedjoin("pthread_timedjoin_np");
LEAKHUNT_REAL hooks::Real<int(pthread_t, void**, clockid_t, const timespec*)> real_clockjoin("pthread_clockjoin_np");
LEAKHUNT_REAL hooks::Real<int(pthread_t)> real_detach("pthread_detach");
LEAKHUNT_REAL hooks::Real<int(thrd_t*, thrd_start_t, void*)> real_thrd_create("thrd_create");
LEAKHUNT_REAL hooks::Real<int(thrd_t, int*)> real_thrd_join("thrd_join");
LEAKHUNT_REAL hooks::Real<int(thrd_t)> real_thrd_detach("thrd_detach");
LEAKHUNT_REAL hooks::Real<int(pthread_attr_t*)> real_attr_init("pthread_attr_init");
LEAKHUNT_REAL hooks::Real<int(const pthread_attr_t*, size_t*)> real_stack_size("pthread_attr_getstacksize");
LEAKHUNT_REAL hooks::Real<int(const pthread_attr_t*, int*)> real_detach_state("pthread_attr_getdetachstate");

// Of a thread made with `attributes` (null: the default).
uint64_t StackBytes(const pthread_attr_t* attributes) {
  pthread_attr_t plain;
  if (attributes == nullptr) {
    if (CallReal(real_attr_init, &plain) != 0) return 0;
    attributes = &plain;
  }
  size_t bytes = 0;
  CallReal(real_stack_size, attributes, &bytes);
  return bytes;
}

bool Detached(const pthread_attr_t* attributes) {
  int state = PTHREAD_CREATE_JOINABLE;
  if (attributes != nullptr) CallReal(real_detach_state, attributes, &state);
  return state == PTHREAD_CREATE_DETACHED;
}

// join of any form: what was recorded under the number before the call ends with its success.
template <typename Call>
int Ending(pthread_t thread, Call call) {
  uint64_t record = core::ThreadRecordOf(thread);
  int result = call();
  if (result == 0) core::ThreadJoined(thread, record);
  return result;
}

// A detach does not wait, and when it is done the thread may be gone and the number another's: its tid is read before. A detach
// that fails was of a thread that had been detached before.
template <typename Call>
int Detaching(pthread_t thread, Call call) {
  core::ThreadDetaches(thread);
  return call();
}

template <typename Call>
int Creating(const pthread_t* thread, const pthread_attr_t* attributes, Call call) {
  hooks::FindEvery();
  if (!core::ThreadCreationBegins()) return call();
  uint64_t bytes = StackBytes(attributes);
  bool detached = Detached(attributes);
  int result = call();
  core::ThreadCreationEnds(result == 0 ? static_cast<uint64_t>(*thread) : 0, bytes, detached);
  return result;
}

}  // namespace

LEAKHUNT_HOOK int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, Start* start, void* argument) noexcept {
  return Creating(thread, attributes, [&] { return CallReal(real_create, thread, attributes, start, argument); });
}
LEAKHUNT_HOOK int pthread_join(pthread_t thread, void** result) {
  return Ending(thread, [&] { return CallReal(real_join, thread, result); });
}
LEAKHUNT_HOOK int pthread_tryjoin_np(pthread_t thread, void** result) noexcept {
  return Ending(thread, [&] { return CallReal(real_tryjoin, thread, result); });
}
LEAKHUNT_HOOK int pthread_timedjoin_np(pthread_t thread, void** result, const timespec* until) {
  return Ending(thread, [&] { return CallReal(real_timedjoin, thread, result, until); });
}
LEAKHUNT_HOOK int pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, const timespec* until) {
  return Ending(thread, [&] { return CallReal(real_clockjoin, thread, result, clock, until); });
}
LEAKHUNT_HOOK int pthread_detach(pthread_t thread) noexcept {
  return Detaching(thread, [&] { return CallReal(real_detach, thread); });
}

LEAKHUNT_HOOK int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  return Creating(thread, nullptr, [&] { return CallReal(real_thrd_create, thread, start, argument); });
}
LEAKHUNT_HOOK int thrd_join(thrd_t thread, int* result) {
  return Ending(thread, [&] { return CallReal(real_thrd_join, thread, result); });
}
LEAKHUNT_HOOK int thrd_detach(thrd_t thread) {
  return Detaching(thread, [&] { return CallReal(real_thrd_detach, thread); });
}
