// Unwind sections that lie: the decoder stays inside them, the walk stays inside the stack, and both come to an end.
#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "preload/unwind/cfi_row.h"
#include "preload/unwind/expression.h"
#include "preload/unwind/path_cache.h"
#include "preload/unwind/unwinder.h"
#include "tests/unit/unwind/section_writer.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kSeed = 20240607;
constexpr uint64_t kPageBytes = 4096;

// libc's segment with its unwind sections, copied between two pages that cannot be read.
struct GuardedCopy {
  UnwindSections sections;
  uint8_t* bytes = nullptr;
  uint64_t size = 0, header_offset = 0;
  std::vector<uint64_t> starts;  // of functions, as the copied table has them
};

int FindLibc(dl_phdr_info* info, size_t, void* result) {
  if (strstr(info->dlpi_name, "libc.so") == nullptr) return 0;
  auto* copy = static_cast<GuardedCopy*>(result);
  uint64_t header = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME) header = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
  }
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    uint64_t start = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type != PT_LOAD || header < start || header >= start + segment.p_filesz) continue;
    copy->size = (segment.p_filesz + kPageBytes - 1) / kPageBytes * kPageBytes;
    auto* memory = static_cast<uint8_t*>(
        mmap(nullptr, copy->size + 2 * kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    copy->bytes = memory + kPageBytes;
    mprotect(copy->bytes, copy->size, PROT_READ | PROT_WRITE);
    copy->bytes += copy->size - segment.p_filesz;  // ends exactly at the guard
    copy->size = segment.p_filesz;
    memcpy(copy->bytes, reinterpret_cast<void*>(start), segment.p_filesz);
    copy->header_offset = header - start;
  }
  return 1;
}

GuardedCopy MakeCopy() {
  GuardedCopy copy;
  dl_iterate_phdr(FindLibc, &copy);
  uint64_t begin = reinterpret_cast<uint64_t>(copy.bytes);
  copy.sections.header = begin + copy.header_offset;
  copy.sections.header_extent = copy.sections.segments[0] = {begin, begin + copy.size};
  copy.sections.segment_count = 1;
  const auto* words = reinterpret_cast<const int32_t*>(copy.sections.header);
  for (int32_t i = 0; i < words[2]; ++i) {
    copy.starts.push_back(copy.sections.header + static_cast<uint64_t>(int64_t{words[3 + 2 * i]}));
  }
  return copy;
}

uint32_t LookUp(const GuardedCopy& copy, uint64_t pc) {
  FrameDescription description;
  if (!FindFrameDescription(copy.sections, pc, &description)) return 0;
  Row<X86_64> row;
  if (BuildRow(description, pc, &row) != RowError::kNone) return 1;
  MachineState<X86_64> state;
  for (uint32_t i = 0; i < 17; ++i) state.Set(i, 0x7000 + 8 * i);
  for (const RegisterRule& rule : row.registers) {
    if (rule.where != Where::kAtExpression && rule.where != Where::kExpression) continue;
    uint64_t value;
    EvaluateExpression(row.expressions + static_cast<uint32_t>(rule.offset), rule.expression_bytes, state, {0, 0}, true,
                       0x8000, &value);
  }
  return 2;
}

TEST(Hostile, CopiedSectionsDecodeAsTheyAre) {
  GuardedCopy copy = MakeCopy();
  ASSERT_GT(copy.starts.size(), 1000u);
  uint64_t rows = 0;
  for (uint64_t start : copy.starts) rows += LookUp(copy, start) == 2;
  EXPECT_EQ(rows, copy.starts.size());
}

TEST(Hostile, CorruptedSectionsNeverLeadOutside) {
  GuardedCopy copy = MakeCopy();
  ASSERT_NE(copy.bytes, nullptr);
  std::vector<uint8_t> original(copy.bytes, copy.bytes + copy.size);
  std::minstd_rand random(kSeed);
  uint64_t outcomes[3] = {};
  for (int round = 0; round < 300; ++round) {
    uint64_t span = copy.size - copy.header_offset;
    for (int i = 0; i < 2000; ++i) {
      uint64_t at =
          copy.header_offset + (round % 3 == 0 ? random() % 12 + (random() % 50 == 0) * 100 : random() % span);
      copy.bytes[at] = static_cast<uint8_t>(random());
      if (round % 3 == 0 && i > 3) break;
    }
    for (int i = 0; i < 500; ++i) ++outcomes[LookUp(copy, copy.starts[random() % copy.starts.size()] + random() % 64)];
    memcpy(copy.bytes + copy.header_offset, original.data() + copy.header_offset, span);
  }
  for (uint64_t outcome : outcomes) EXPECT_GT(outcome, 100u);
}

TEST(Hostile, RandomProgramsEnd) {
  std::minstd_rand random(kSeed);
  uint64_t rows = 0;
  for (int round = 0; round < 100'000; ++round) {
    unwind_test::SectionWriter writer(1024);
    unwind_test::Bytes program(random() % 120);
    for (uint8_t& byte : program) byte = static_cast<uint8_t>(random() % 3 ? random() % 0x18 : random());
    uint64_t common = writer.Common(-8, 16, "zR", {0x0C, 7, 8, 0x90, 1});
    uint64_t entry = writer.Entry(common, 0x1000, 0x100, program);
    FrameDescription description;
    ASSERT_TRUE(ParseFrameDescription(writer.Address(entry), writer.Section(), 0, &description));
    Row<X86_64> row;
    rows += BuildRow(description, 0x1000 + random() % 0x100, &row) == RowError::kNone;
    Row<Aarch64> other;
    BuildRow(description, 0x1000 + random() % 0x100, &other);
  }
  EXPECT_GT(rows, 100u);
}

TEST(Hostile, RandomExpressionsEnd) {
  std::minstd_rand random(kSeed);
  uint64_t done = 0;
  MachineState<X86_64> state;
  for (uint32_t i = 0; i < 17; ++i) state.Set(i, random());
  uint64_t words[8] = {};
  uint64_t low = reinterpret_cast<uint64_t>(words);
  for (int round = 0; round < 300'000; ++round) {
    uint8_t code[40];
    for (uint8_t& byte : code) byte = static_cast<uint8_t>(random());
    uint64_t result;
    done += EvaluateExpression(reinterpret_cast<uint64_t>(code), static_cast<uint32_t>(random() % 40), state,
                               {low, low + sizeof(words)}, true, low, &result) == Evaluation::kDone;
  }
  EXPECT_GT(done, 1000u);
}

// End to end: shared objects whose .eh_frame is damaged are loaded, and walked through.
std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::pair<uint64_t, uint64_t> FindSection(const std::string& object, const char* name) {
  const auto* elf = reinterpret_cast<const Elf64_Ehdr*>(object.data());
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(object.data() + elf->e_shoff);
  const char* names = object.data() + sections[elf->e_shstrndx].sh_offset;
  for (int i = 0; i < elf->e_shnum; ++i) {
    if (strcmp(names + sections[i].sh_name, name) == 0) return {sections[i].sh_offset, sections[i].sh_size};
  }
  return {0, 0};
}

uint64_t g_walks, g_short_walks;

[[gnu::noinline]] void WalkThrough() {
  Registers start;
  CaptureCaller(&start);
  StackLimits limits;
  ASSERT_TRUE(FindStackLimits(start.sp, &limits));
  uint64_t pcs[128], again[128];
  WalkResult result = Walk(start, limits, pcs, 128);
  auto* cache = static_cast<PathCache*>(calloc(1, sizeof(PathCache)));
  uint32_t* known;
  for (int i = 0; i < 2; ++i) {
    WalkResult cached = WalkKnown(start, limits, cache, again, 128, &known);
    ASSERT_EQ(cached.frames, result.frames);
    ASSERT_EQ(memcmp(pcs, again, 8 * result.frames), 0);
  }
  free(cache);
  ++g_walks;
  g_short_walks += result.stop != StopReason::kBottom;
}
void Callback() {
  WalkThrough();
  asm volatile("");
}

TEST(Hostile, DamagedObjectsAreWalkedThrough) {
  Initialize();
  std::string plugin = ReadFile(LAZY_PLUGIN);
  auto [frame, frame_bytes] = FindSection(plugin, ".eh_frame");
  auto [header, header_bytes] = FindSection(plugin, ".eh_frame_hdr");
  ASSERT_GT(frame_bytes, 0u);
  ASSERT_GT(header_bytes, 0u);
  std::minstd_rand random(kSeed);
  std::string path = testing::TempDir() + "/damaged-" + std::to_string(getpid()) + ".so";
  for (int round = 0; round < 400; ++round) {
    std::string damaged = plugin;
    for (uint64_t i = 0; i <= random() % 12; ++i) {
      uint64_t at = random() % 4 ? frame + random() % frame_bytes : header + random() % header_bytes;
      damaged[at] = static_cast<char>(random());
    }
    std::ofstream(path, std::ios::binary) << damaged;
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    reinterpret_cast<void (*)(void (*)())>(dlsym(library, "plugin_call"))(Callback);
    dlclose(library);
    AfterUnload();
    unlink(path.c_str());
  }
  EXPECT_EQ(g_walks, 400u);
  EXPECT_GT(g_short_walks, 20u);
}

}  // namespace
}  // namespace leakhunt::unwind
