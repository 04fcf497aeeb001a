// The module map: announced before use, identified, gone after dlclose, right under threads and address reuse.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/auxv.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "preload/unwind/module_map.h"
#include "preload/unwind/path_cache.h"
#include "preload/unwind/unwinder.h"
#include "tests/unit/unwind/oracle.h"

namespace leakhunt::unwind {
namespace {

struct Known {
  ModuleInfo info;
  uint32_t handle;
  bool gone = false;
};
std::mutex g_lock;
std::vector<Known>* g_known = new std::vector<Known>;

std::atomic<int> g_slow_announcements = 0;  // how many of the next ones take their time

void Seen(const ModuleInfo& info, uint32_t handle) {
  if (g_slow_announcements > 0 && g_slow_announcements-- > 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::lock_guard lock(g_lock);
  g_known->push_back({info, handle});
}
void Gone(uint32_t handle, uint32_t) {
  std::lock_guard lock(g_lock);
  for (Known& known : *g_known) {
    if (known.handle == handle) known.gone = true;
  }
}

const Known* Announced(uint64_t pc) {
  for (const Known& known : *g_known) {
    if (!known.gone && pc >= known.info.start && pc < known.info.end) return &known;
  }
  return nullptr;
}

class Modules : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Initialize();
    SetModuleCallbacks(Seen, Gone);
    // Other tests of this process may have met modules already.
    ForEachModule(Seen);
  }
  static void TearDownTestSuite() { SetModuleCallbacks(nullptr, nullptr); }
};

uint64_t g_pcs[200];
uint32_t g_frames;
[[gnu::noinline]] void WalkHere() {
  Registers start;
  CaptureCaller(&start);
  StackLimits limits;
  ASSERT_TRUE(FindStackLimits(start.sp, &limits));
  g_frames = Walk(start, limits, g_pcs, 200).frames;
}

TEST_F(Modules, AreAnnouncedBeforeTheirFramesAreReturned) {
  WalkHere();
  ASSERT_GT(g_frames, 3u);
  for (uint32_t i = 0; i < g_frames; ++i) EXPECT_NE(Announced(g_pcs[i]), nullptr) << i;
}

TEST_F(Modules, MainProgramHasItsPathAndBias) {
  WalkHere();
  const Known* own = Announced(reinterpret_cast<uint64_t>(&WalkHere));
  ASSERT_NE(own, nullptr);
  char path[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
  EXPECT_STREQ(own->info.path, path);
  link_map* map = nullptr;
  Dl_info info;
  ASSERT_NE(dladdr1(reinterpret_cast<void*>(&WalkHere), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP), 0);
  EXPECT_EQ(own->info.bias, map->l_addr);
}

int CheckBuildId(dl_phdr_info* info, size_t, void* checked) {
  for (const Known& known : *g_known) {
    if (known.gone || known.info.bias != info->dlpi_addr || known.info.build_id == nullptr) continue;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& header = info->dlpi_phdr[i];
      const auto* notes = reinterpret_cast<const void*>(info->dlpi_addr + header.p_vaddr);
      if (header.p_type == PT_NOTE && memmem(notes, header.p_memsz, known.info.build_id, known.info.build_id_bytes) != nullptr) {
        ++*static_cast<int*>(checked);
        break;
      }
    }
  }
  return 0;
}

TEST_F(Modules, BuildIdsAreThoseOfTheirNotes) {
  WalkHere();
  int checked = 0, with_id = 0;
  dl_iterate_phdr(CheckBuildId, &checked);
  for (const Known& known : *g_known) with_id += !known.gone && known.info.build_id != nullptr;
  EXPECT_GE(with_id, 1);
  EXPECT_EQ(checked, with_id);
  for (const Known& known : *g_known) EXPECT_TRUE(known.info.build_id == nullptr || known.info.build_id_bytes >= 8);
}

// A forked child reads both when another thread may have unmapped the object.
TEST_F(Modules, BuildIdAndPathLieInNoObject) {
  WalkHere();
  const auto inside = [](const void* at) {
    Dl_info ignored;
    return dladdr(at, &ignored) != 0;
  };
  for (const Known& known : *g_known) {
    EXPECT_TRUE(known.info.build_id == nullptr || !inside(known.info.build_id));
    EXPECT_FALSE(inside(known.info.path)) << known.info.path;
  }
}

TEST_F(Modules, TheVdsoIsOne) {
  uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
  if (vdso == 0) GTEST_SKIP();
  UnwindSections sections;
  ASSERT_EQ(FindModule(vdso + 0x100, &sections), ModuleLookup::kFound);
  EXPECT_NE(sections.header, 0u);
  const Known* known = Announced(vdso + 0x100);
  ASSERT_NE(known, nullptr);
  EXPECT_STREQ(known->info.path, "[vdso]");
}

TEST_F(Modules, NoModuleCoversTheHeapOrTheStack) {
  UnwindSections sections;
  int local = 0;
  EXPECT_EQ(FindModule(reinterpret_cast<uint64_t>(&local), &sections), ModuleLookup::kNone);
  EXPECT_EQ(FindModule(reinterpret_cast<uint64_t>(new int), &sections), ModuleLookup::kNone);
  EXPECT_EQ(FindModule(0, &sections), ModuleLookup::kNone);
}

using Call = void (*)(void (*)());
Call Load(const char* path, void** library) {
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return *library == nullptr ? nullptr : reinterpret_cast<Call>(dlsym(*library, "plugin_call"));
}

TEST_F(Modules, UnloadedOnesAreGoneAndRaiseTheEpoch) {
  for (int i = 0; i < 20; ++i) {
    void* library;
    Call call = Load(i % 2 ? LAZY_PLUGIN : OTHER_PLUGIN, &library);
    ASSERT_NE(call, nullptr) << dlerror();
    call([] { unwind_test::CompareWalks(); });
    const Known* known = Announced(reinterpret_cast<uint64_t>(call));
    ASSERT_NE(known, nullptr);
    EXPECT_NE(std::string(known->info.path).find("unwind_plugin"), std::string::npos);
    EXPECT_EQ(known->info.epoch, Epoch());
    uint32_t epoch = Epoch();
    dlclose(library);
    AfterUnload();
    EXPECT_EQ(Epoch(), epoch + 1);
    EXPECT_EQ(Announced(reinterpret_cast<uint64_t>(call)), nullptr);
    AfterUnload();
    EXPECT_EQ(Epoch(), epoch + 1);  // nothing more was unloaded
  }
}

TEST_F(Modules, AddressesReusedByAnotherObjectWalkRight) {
  uint64_t same = unwind_test::Totals().same, walks = unwind_test::Totals().walks;
  std::set<uint64_t> addresses;
  for (int i = 0; i < 200; ++i) {
    void* library;
    Call call = Load(i % 2 ? LAZY_PLUGIN : OTHER_PLUGIN, &library);
    addresses.insert(reinterpret_cast<uint64_t>(call));
    for (int k = 0; k < 3; ++k) call([] { unwind_test::CompareWalks(); });
    dlclose(library);
    AfterUnload();
  }
  EXPECT_LT(addresses.size(), 200u);  // they were reused
  EXPECT_EQ(unwind_test::Totals().walks - walks, 600u);
  EXPECT_EQ(unwind_test::Totals().same - same, 600u);
}

std::atomic<bool> g_stop;
std::atomic<uint64_t> g_thread_walks, g_short;

TEST_F(Modules, ThreadsWalkWhileObjectsComeAndGo) {
  // Threads walk in code that stays; their rules are dropped under them again and again.
  g_stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([] {
      StackLimits limits{};
      auto* cache = static_cast<PathCache*>(calloc(1, sizeof(PathCache)));
      uint32_t expected = 0;
      while (!g_stop) {
        Registers start;
        CaptureHere(&start);
        if (limits.high == 0) FindStackLimits(start.sp, &limits);
        uint64_t pcs[100], again[100];
        uint32_t* known;
        WalkResult result = Walk(start, limits, pcs, 100);
        WalkResult cached = WalkKnown(start, limits, cache, again, 100, &known);
        if (expected == 0) expected = result.frames;
        g_short += result.frames != expected || cached.frames != expected || result.stop != StopReason::kBottom ||
                   memcmp(pcs, again, 8 * expected) != 0;
        ++g_thread_walks;
      }
      free(cache);
    });
  }
  for (int i = 0; i < 500; ++i) {
    void* library;
    Call call = Load(i % 2 ? LAZY_PLUGIN : OTHER_PLUGIN, &library);
    call([] {});
    call(WalkHere);
    dlclose(library);
    AfterUnload();
  }
  while (g_thread_walks < 3000) std::this_thread::yield();
  g_stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(g_short, 0u);
}

// Two threads may meet one module at the same moment: it is announced once.
TEST_F(Modules, AreAnnouncedOnceToManyThreads) {
  for (int round = 0; round < 100; ++round) {
    void* library;
    Call call = Load(round % 2 ? LAZY_PLUGIN : OTHER_PLUGIN, &library);
    std::vector<std::thread> threads;
    std::atomic<int> ready = 0;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        ++ready;
        while (ready < 4) std::this_thread::yield();
        UnwindSections sections;
        FindModule(reinterpret_cast<uint64_t>(call), &sections);
      });
    }
    for (std::thread& thread : threads) thread.join();
    int announced = 0;
    for (const Known& known : *g_known) {
      announced +=
          !known.gone && reinterpret_cast<uint64_t>(call) - known.info.start < known.info.end - known.info.start;
    }
    EXPECT_EQ(announced, 1);
    dlclose(library);
    AfterUnload();
  }
}

TEST_F(Modules, OneStandsWhereAWaiterGaveUp) {
  void* library;
  Call call = Load(LAZY_PLUGIN, &library);
  const uint64_t pc = reinterpret_cast<uint64_t>(call);
  const size_t known_before = g_known->size();
  g_slow_announcements = 1;
  std::thread slow([&] {
    UnwindSections sections;
    FindModule(pc, &sections);
  });
  while (g_slow_announcements > 0) std::this_thread::yield();
  UnwindSections sections;
  EXPECT_EQ(FindModule(pc, &sections), ModuleLookup::kFound);
  slow.join();
  const auto is_it = [&](const Known& known) { return pc - known.info.start < known.info.end - known.info.start; };
  const auto stands = [&](const Known& known) { return is_it(known) && !known.gone; };
  EXPECT_EQ(std::count_if(g_known->begin() + static_cast<ptrdiff_t>(known_before), g_known->end(), is_it), 2);
  EXPECT_EQ(std::count_if(g_known->begin(), g_known->end(), stands), 1);
  dlclose(library);
  AfterUnload();
  EXPECT_EQ(std::count_if(g_known->begin(), g_known->end(), stands), 0);
}

}  // namespace
}  // namespace leakhunt::unwind
