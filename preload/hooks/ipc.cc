// Shared memory, message queues and named semaphores. A semaphore and an attached segment are mappings, not descriptors.
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "preload/core/mappings.h"
#include "preload/hooks/handle_hook.h"
#include "preload/sys/syscall.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_REAL hooks::Real<int(const char*, int, mode_t)> real_shm_open("shm_open");
LEAKHUNT_REAL hooks::Real<mqd_t(const char*, int, mode_t, mq_attr*)> real_mq_open("mq_open");
LEAKHUNT_REAL hooks::Real<mqd_t(const char*, int)> real_mq_open_2("__mq_open_2");
LEAKHUNT_REAL hooks::Real<sem_t*(const char*, int, mode_t, unsigned)> real_sem_open("sem_open");
LEAKHUNT_REAL hooks::Real<int(sem_t*)> real_sem_close("sem_close");
LEAKHUNT_REAL hooks::Real<void*(int, const void*, int)> real_shmat("shmat");
LEAKHUNT_REAL hooks::Real<int(const void*)> real_shmdt("shmdt");

uint64_t Address(const void* at) { return reinterpret_cast<uint64_t>(at); }

bool Mapped(uint64_t page) { return !sys::Failed(sys::Call(SYS_msync, static_cast<long>(page), 4096, MS_ASYNC)); }

}  // namespace

LEAKHUNT_HOOK int shm_open(const char* name, int flags, mode_t mode) {
  return Opened(Caller(), CallReal(real_shm_open, name, flags, mode), HandleType::kFile, name);
}

LEAKHUNT_HOOK mqd_t mq_open(const char* name, int flags, ...) noexcept {
  mode_t mode = 0;
  mq_attr* attributes = nullptr;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    attributes = va_arg(arguments, mq_attr*);
    va_end(arguments);
  }
  return Opened(Caller(), CallReal(real_mq_open, name, flags, mode, attributes), HandleType::kFile, name);
}
LEAKHUNT_HOOK mqd_t __mq_open_2(const char* name, int flags) noexcept {
  return Opened(Caller(), CallReal(real_mq_open_2, name, flags), HandleType::kFile, name);
}

// The same name gives the same mapping again; the last sem_close of it unmaps.
LEAKHUNT_HOOK sem_t* sem_open(const char* name, int flags, ...) noexcept {
  mode_t mode = 0;
  unsigned value = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    value = va_arg(arguments, unsigned);
    va_end(arguments);
  }
  sem_t* semaphore = CallReal(real_sem_open, name, flags, mode, value);
  if (semaphore != SEM_FAILED && core::MappingBytesAt(Address(semaphore)) == 0) {
    core::MappingBorn(Address(semaphore), sizeof(sem_t));
  }
  return semaphore;
}

LEAKHUNT_HOOK int sem_close(sem_t* semaphore) noexcept {
  uint64_t bytes = core::MappingBytesAt(Address(semaphore));
  if (bytes == 0) return CallReal(real_sem_close, semaphore);
  core::MappingOrigin origin = core::MappingTaken(Address(semaphore), bytes);
  int result = CallReal(real_sem_close, semaphore);
  if (Mapped(Address(semaphore)) && core::MappingBytesAt(Address(semaphore)) == 0) {
    core::MappingPut(Address(semaphore), bytes, origin);
  }
  return result;
}

LEAKHUNT_HOOK void* shmat(int id, const void* wanted, int flags) noexcept {
  void* mapped = CallReal(real_shmat, id, wanted, flags);
  if (mapped == reinterpret_cast<void*>(-1)) return mapped;
  shmid_ds segment{};
  if (!sys::Failed(sys::Call(SYS_shmctl, id, IPC_STAT, sys::Word(&segment)))) {
    core::MappingBorn(Address(mapped), segment.shm_segsz);
  }
  return mapped;
}

LEAKHUNT_HOOK int shmdt(const void* mapped) noexcept {
  uint64_t bytes = core::MappingBytesAt(Address(mapped));
  core::MappingOrigin origin;
  if (bytes != 0) origin = core::MappingTaken(Address(mapped), bytes);
  int result = CallReal(real_shmdt, mapped);
  if (result != 0 && bytes != 0) core::MappingPut(Address(mapped), bytes, origin);
  return result;
}
