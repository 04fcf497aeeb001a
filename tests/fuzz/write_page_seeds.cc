// Writes the seeds of tests/data/fuzz/pages: pages a guest might have left, and the defects the tests know of.
//   lh_write_page_seeds DIRECTORY
#include <cstdio>
#include <fstream>

#include "tests/fuzz/pages_target.h"

namespace {

using leakhunt::protocol::AreaKind;
using leakhunt::testing::PageBuilder;
namespace protocol = leakhunt::protocol;

// A little of everything.
PageBuilder Everything() {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x2000, 0x1000, "\x01\x02\x03\x04", "/bin/subject");
  pages.AddModule(0x1000, 0x3000, 0x1000, "", "/lib/late.so", 1, 2);
  const uint32_t outer = pages.AddStack({0x1200, 0x1300});
  const uint32_t stack = pages.AddStack({0x1100 | protocol::kFrameExactPc}, outer, 1, protocol::kStackTruncated);
  pages.AddTally({.stack = stack,
                  .samples = 9,
                  .born_bytes = 900,
                  .born_count = 9,
                  .died_samples = 4,
                  .died_bytes = 400,
                  .born_bytes_variance = 2.5,
                  .lifetimes = {1, 2, 1}});
  pages.AddTally({.stack = outer, .kind = protocol::BlockKind::kMmap, .samples = 1}, AreaKind::kSharedTally);
  protocol::InheritedTally inherited{};
  inherited.stack = stack;
  inherited.samples = 3;
  inherited.live_bytes = 300;
  inherited.live_count_256 = 700;
  pages.AddInherited(inherited);
  pages.AddThread(1, 4242, "main", 0, 0);
  pages.AddScope(2, "sync");
  pages.AddHandle({.fd = 0, .type = protocol::HandleType::kPty, .inode = 3}, AreaKind::kInheritedHandles);
  pages.AddHandle({.fd = 5, .type = protocol::HandleType::kFile, .label = "/etc/x", .stack = stack, .tick = 4});
  pages.AddHandle({.fd = 6, .stack = stack, .state = protocol::SlotState::kDead});
  pages.AddHandle({.fd = 900, .flags = protocol::kHandleOwn});
  pages.AddHandleTally(stack, 4, 3, 2);
  for (uint32_t i = 0; i < 6; ++i) {
    pages.AddRecord({.size = uint64_t{10} << (3 * i),
                     .stack = i % 2 == 0 ? stack : outer,
                     .interval = i < 3 ? 1u : 4096u,
                     .tick = i * 900,
                     .kind = static_cast<protocol::BlockKind>(i % 4),
                     .scope = i % 3,
                     .thread = i});
  }
  return pages;
}

void Write(const std::string& path, PageBuilder pages, uint8_t flags) {
  const std::vector<uint8_t> input = leakhunt::testing::PatchesOf(pages.Content(), flags);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()), static_cast<long>(input.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string directory = std::string(argv[1]) + "/";
  Write(directory + "alive", Everything(), 1);
  Write(directory + "dead", Everything(), 0);
  Write(directory + "empty", PageBuilder(), 1);
  PageBuilder ended = Everything();
  ended.header().image_end = 1;
  ended.header().floor_interval_bytes = 1 << 16;
  ended.AddHandle({.fd = 5, .label = "/etc/x", .inode = 8}, AreaKind::kHandlesAtExit);
  Write(directory + "ended-at-the-bound", ended, 0);
  PageBuilder circle = Everything();
  const uint32_t self = circle.AddStack({0x1400});
  circle.Put(protocol::StackOffset(self) + offsetof(protocol::StackRecord, parent), self);
  circle.AddRecord({.size = 1, .stack = self});
  Write(directory + "circle", circle, 0);
  PageBuilder lengths = Everything();
  const uint64_t module = lengths.AddModule(0x5000, 0x6000, 0, "\x05", "/bad");
  lengths.Put(module + offsetof(protocol::ModuleRecord, record_bytes), uint16_t{0});
  const uint64_t area = lengths.AddArea(AreaKind::kStacks, 1);
  lengths.Put(area, ~uint64_t{0});
  Write(directory + "lengths", lengths, 1);
  PageBuilder header = Everything();
  header.header().activity_points = header.header().sampling_points = header.header().command_bytes = 0xFFFF'FFFF;
  header.header().started_ns = ~uint64_t{0};
  header.OverrideExtents(0xFFFF'FFFF);
  Write(directory + "header", header, 1);
  return 0;
}
