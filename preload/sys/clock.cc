#include "preload/sys/clock.h"

#include <elf.h>
#include <sys/prctl.h>

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/syscall.h"

namespace leakhunt::sys {

LEAKHUNT_HOT_WORD ClockGettime g_clock_gettime = nullptr;

namespace {

bool SameName(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

uint64_t Now(int clock) {
  timespec now{};
  const ClockGettime gettime = LoadRelaxed(&g_clock_gettime);
  if (gettime == nullptr || gettime(clock, &now) != 0) Call(SYS_clock_gettime, clock, Word(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

bool CycleCounterIsReadable() {
  int setting = 0;
  return Failed(Call(SYS_prctl, PR_GET_TSC, Word(&setting))) || setting == PR_TSC_ENABLE;  // fails where there is no such setting
}

}  // namespace

void CycleCounterForbidden() { StoreRelaxed(&g_clock_gettime, ClockGettime{nullptr}); }

void InitializeClock(uint64_t vdso) {
  if (vdso == 0 || !CycleCounterIsReadable()) return;
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(vdso);
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(vdso + header->e_phoff);
  const Elf64_Dyn* dynamic = nullptr;
  uint64_t bias = 0;
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD) bias = vdso + segments[i].p_offset - segments[i].p_vaddr;
    if (segments[i].p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const Elf64_Dyn*>(vdso + segments[i].p_offset);
  }
  const Elf64_Sym* symbols = nullptr;
  const char* strings = nullptr;
  const uint32_t* hash = nullptr;
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; ++dynamic) {
    uint64_t at = bias + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const Elf64_Sym*>(at);
    if (dynamic->d_tag == DT_STRTAB) strings = reinterpret_cast<const char*>(at);
    if (dynamic->d_tag == DT_HASH) hash = reinterpret_cast<const uint32_t*>(at);
  }
  uint32_t count = hash != nullptr ? hash[1] : 16;  // without DT_HASH (newer vDSOs) the table still has about ten names
  if (symbols == nullptr || strings == nullptr) return;
  for (uint32_t i = 0; i < count; ++i) {
    const char* name = strings + symbols[i].st_name;
    if (symbols[i].st_shndx == SHN_UNDEF) continue;
    if (hash == nullptr && reinterpret_cast<const char*>(&symbols[i]) >= strings) return;
    if (SameName(name, "__vdso_clock_gettime") || SameName(name, "__kernel_clock_gettime")) {
      g_clock_gettime = reinterpret_cast<ClockGettime>(bias + symbols[i].st_value);
      return;
    }
  }
}

uint64_t MonotonicCoarseSlow() { return Now(CLOCK_MONOTONIC_COARSE); }
uint64_t MonotonicNs() { return Now(CLOCK_MONOTONIC); }
int64_t RealtimeNs() { return static_cast<int64_t>(Now(CLOCK_REALTIME)); }
uint64_t ProcessCpuNs() {
  timespec now{};
  Call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, Word(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace leakhunt::sys
