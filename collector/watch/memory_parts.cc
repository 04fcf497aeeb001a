#include "collector/watch/memory_parts.h"

#include <algorithm>

namespace leakhunt::watch {
namespace {

// What allocators keep beside the blocks themselves: size classes (a quarter), headers and least sizes (32 bytes a
// block), and arenas that are made before they are needed.
constexpr double kRounding = 1.25;
constexpr double kLeastBlock = 32;
constexpr double kFirstArenas = 2 << 20;

double MostOfAllocator(const HeapFigures& heap) {
  if (heap.hidden) return heap.live_bytes;
  return kRounding * heap.total_bytes + kLeastBlock * heap.total_count + kFirstArenas;
}

}  // namespace

MemoryParts TakeApart(const ResidentPages& pages, const std::vector<ledger::AddressRange>& mappings,
                      const HeapFigures& heap) {
  const auto of = [&](MemoryClass kind) { return static_cast<double>(pages.Map().RssBytesOf(kind)); };
  double in_stacks = 0;
  MemoryParts parts;
  for (const ledger::AddressRange& mapping : mappings) {
    parts.mapped_bytes += pages.RssIn(mapping.start, mapping.end, MemoryClass::kAnonymous);
    in_stacks += pages.RssIn(mapping.start, mapping.end, MemoryClass::kStack);
  }
  parts.mapped_bytes += in_stacks;  // a mapping above a guard of the program's own
  parts.stack_bytes = std::max(0.0, of(MemoryClass::kStack) - in_stacks);
  parts.file_bytes = of(MemoryClass::kFile);
  parts.shared_bytes = of(MemoryClass::kShared);
  double rest = std::max(0.0, of(MemoryClass::kAnonymous) + in_stacks - parts.mapped_bytes);
  parts.heap_live_bytes = std::min(rest, heap.live_bytes);
  // leakhunt takes its own memory before it touches it: what lives is not displaced by it.
  const double own_private = std::min(rest - parts.heap_live_bytes, static_cast<double>(heap.own_private_bytes));
  parts.leakhunt_bytes = of(MemoryClass::kLeakhunt) + own_private;
  rest -= own_private;
  const double beyond = rest - parts.heap_live_bytes;
  const double most = std::max(0.0, MostOfAllocator(heap) - parts.heap_live_bytes);
  parts.slack_bytes = heap.inherited && !heap.hidden ? beyond : std::min(beyond, most);
  parts.unseen_bytes = beyond - parts.slack_bytes;
  return parts;
}

}  // namespace leakhunt::watch
