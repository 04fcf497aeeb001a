// A fixed-address program with gaps between its segments (as node is): the loader knows it segment by segment, and to
// us it is one module. Exit status 0 when walks equal libunwind's and the module is right.
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <initializer_list>

#include "tests/unit/unwind/oracle.h"

namespace {

using namespace leakhunt;

unwind::ModuleInfo g_own{};
uint32_t g_gone = 0, g_times_seen = 0;

void Seen(const unwind::ModuleInfo& info, uint32_t) {
  auto here = reinterpret_cast<uint64_t>(&Seen);
  if (here < info.start || here >= info.end) return;
  g_own = info;
  ++g_times_seen;
}
void Gone(uint32_t, uint32_t) { ++g_gone; }

[[gnu::noinline]] int Recurse(int depth) {
  volatile char local[32] = {};
  if (depth == 0) unwind_test::CompareWalks();
  return depth == 0 ? 0 : Recurse(depth - 1) + local[3];
}

int Check(dl_phdr_info* info, size_t, void* right) {  // the first object is the program
  uint64_t low = ~uint64_t{0}, high = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    if (header.p_vaddr < low) low = header.p_vaddr;
    if (header.p_vaddr + header.p_memsz > high) high = header.p_vaddr + header.p_memsz;
  }
  *static_cast<bool*>(right) = g_own.bias == info->dlpi_addr && g_own.start == (low & ~uint64_t{4095}) &&
                               g_own.end >= high && g_own.end < high + 4096 && g_own.build_id != nullptr;
  return 1;
}

}  // namespace

int main() {
  unwind::SetModuleCallbacks(Seen, Gone);
  unwind::Initialize();
  for (int depth : {0, 1, 10, 100}) Recurse(depth);
  unwind::AfterUnload();  // nothing was unloaded
  Recurse(3);
  bool right = false;
  dl_iterate_phdr(Check, &right);
  const unwind_test::Tally& totals = unwind_test::Totals();
  printf("%lu walks, %lu same, seen %u times, %u gone, module %s\n", totals.walks, totals.same, g_times_seen, g_gone,
         right ? "right" : "wrong");
  return totals.walks == 5 && totals.same == 5 && totals.known_differs == 0 && totals.stops[0] == 5 && right &&
                 g_times_seen == 1 && g_gone == 0
             ? 0
             : 1;
}
