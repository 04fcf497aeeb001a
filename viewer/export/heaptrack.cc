// heaptrack's data file, version 2 of its format (what heaptrack_interpret writes; read by heaptrack 1.1 and later).
//
// heaptrack replays events; leakhunt has sums. A sample of n allocations, m of them live, is replayed as n births and
// n - m deaths of blocks of its mean sizes: calls, leaked bytes and peak come out as recorded. What was allocated and
// freed again comes first, so that the peak of the replay is what is live. Where there are more events than a file
// should hold, all counts are divided by one factor and sizes multiplied by it: bytes stay, calls are fewer, and a
// comment in the file says by how much.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <unordered_map>

#include "collector/base/clean_text.h"
#include "viewer/export/call_tree.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

constexpr int64_t kMostAllocations = 2'000'000;

// Where a sample's values stand; handles have no bytes and count as one each.
struct Columns {
  size_t all_count, all_bytes, live_count, live_bytes;
};

Columns ColumnsOf(const Profile& profile) {
  const size_t handles = FindValueType(profile, "open_handles");
  if (handles < profile.value_types.size()) {
    const size_t opened = FindValueType(profile, "opened_handles");
    return {opened, opened, handles, handles};
  }
  return {FindValueType(profile, "alloc_objects"), FindValueType(profile, "alloc_space"),
          FindValueType(profile, "inuse_objects"), FindValueType(profile, "inuse_space")};
}

// `count` blocks that add up to `bytes`: those of size + 1 first.
struct Blocks {
  int64_t count = 0, size = 0, larger = 0;
};

Blocks BlocksOf(int64_t count, int64_t bytes, int64_t factor) {
  if (count <= 0) return {};
  const int64_t fewer = (count + factor - 1) / factor;
  return {fewer, bytes / fewer, bytes % fewer};
}

class Writer {
 public:
  Writer(const Profile& profile, std::ostream& out) : profile_(profile), columns_(ColumnsOf(profile)), out_(out) {}

  void Write() {
    WriteHead();
    WriteTraces();
    const int64_t factor = Factor();
    if (factor > 1) out_ << fmt::format("# one event stands for {} allocations of its call site\n", factor);
    for (bool live : {false, true}) {
      for (size_t i = 0; i < profile_.samples.size(); ++i) Replay(i, live, factor);
    }
    if (dying_ != 0) Line(fmt::format("- {:x}", dying_));
    Line(fmt::format("c {:x}", std::max<int64_t>(1, profile_.age_ms)));
  }

 private:
  // One line of text: foreign line ends would be lines of their own.
  void Line(const std::string& text) { out_ << CleanText(text) << '\n'; }

  void WriteHead() {
    Line("v 10400 2");
    std::string command;
    for (const std::string& word : profile_.command) command += (command.empty() ? "" : " ") + word;
    Line("X " + (command.empty() ? profile_.process : command));
    Line("I 1000 1");  // the page size; how much memory the machine has was not asked
    for (const std::string& comment : profile_.comments) Line("# " + comment);
  }

  // Strings, instruction pointers and traces are numbered from 1 in order of appearance; 0 is none.
  size_t String(const std::string& text) {
    if (text.empty()) return 0;
    auto [found, added] = strings_.try_emplace(text, strings_.size() + 1);
    if (added) Line("s " + text);
    return found->second;
  }

  void WriteInstructionPointer(const ProfileFrame& frame) {
    const bool mapped = frame.module < profile_.modules.size();
    const size_t module = mapped ? String(profile_.modules[frame.module].path) : 0;
    const size_t function = String(frame.function), file = String(frame.file);
    const uint64_t address = frame.address + (mapped ? profile_.modules[frame.module].bias : 0);
    std::string line = fmt::format("i {:x} {:x}", address, module);
    if (function != 0) line += fmt::format(" {:x} {:x} {:x}", function, file, frame.line);
    Line(line);
  }

  void WriteTraces() {
    for (const ProfileFrame& frame : profile_.frames) WriteInstructionPointer(frame);
    WriteInstructionPointer(UnknownFrame());
    tree_ = MakeCallTree(profile_);
    for (const CallNode& node : tree_.nodes) {
      Line(fmt::format("t {:x} {:x}", node.frame + 1, node.parent == kNoParent ? 0 : node.parent + 1));
    }
    Line("a 0 0");  // number 0, never an event: see Born
    allocation_infos_ = 1;
  }

  int64_t Factor() const {
    int64_t all = 0;
    for (const ProfileSample& sample : profile_.samples) all += sample.values[columns_.all_count];
    return std::max<int64_t>(1, (all + kMostAllocations - 1) / kMostAllocations);
  }

  uint32_t AllocationInfo(int64_t size, uint32_t node) {
    Line(fmt::format("a {:x} {:x}", size, node + 1));
    return allocation_infos_++;
  }

  void Replay(size_t sample, bool live, int64_t factor) {
    const std::vector<int64_t>& values = profile_.samples[sample].values;
    int64_t count = values[columns_.live_count], bytes = values[columns_.live_bytes];
    if (!live) {  // estimates: what is live may come out as more than all
      count = std::max<int64_t>(0, values[columns_.all_count] - count);
      bytes = std::max<int64_t>(0, values[columns_.all_bytes] - bytes);
    }
    const Blocks blocks = BlocksOf(count, bytes, factor);
    const uint32_t node = tree_.leaf_of_sample[sample];
    ReplayEqual(blocks.larger, blocks.size + 1, node, live);
    ReplayEqual(blocks.count - blocks.larger, blocks.size, node, live);
  }

  // Two infos of the same content in turn, so that no block dies right after its own birth: heaptrack would call it a
  // temporary allocation, which nobody knows.
  void ReplayEqual(int64_t count, int64_t size, uint32_t node, bool live) {
    if (count <= 0) return;
    const uint32_t even = AllocationInfo(size, node), odd = live || count == 1 ? even : AllocationInfo(size, node);
    for (int64_t i = 0; i < count; ++i) Born(i % 2 == 0 ? even : odd, live);
  }

  void Born(uint32_t info, bool live) {
    Line(fmt::format("+ {:x}", info));
    if (dying_ != 0) Line(fmt::format("- {:x}", dying_));
    dying_ = live ? 0 : info;
  }

  const Profile& profile_;
  const Columns columns_;
  std::ostream& out_;
  CallTree tree_;
  std::unordered_map<std::string, size_t> strings_;
  uint32_t allocation_infos_ = 0;
  uint32_t dying_ = 0;  // born last and to be freed after the next birth
};

}  // namespace

void ExportHeaptrack(const Profile& profile, std::ostream& out) { Writer(profile, out).Write(); }

}  // namespace leakhunt::viewer
