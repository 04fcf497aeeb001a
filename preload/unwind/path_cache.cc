#include "preload/unwind/path_cache.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/unwind/tail_memo.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kFirstNodes = 256;
constexpr uint32_t kMostNodes = 1u << 14;
constexpr uint64_t kBytesPerNode = sizeof(PathNode) + 2 * sizeof(uint32_t);

// A full cache that misses many times was filled with stacks of another phase of the program, its start most of the time,
// or with ones that never come back. Emptied after as many misses as it has nodes, it serves the former soon; the latter
// fill it again, and it is emptied after twice as many misses, until doing so costs next to nothing.
constexpr uint64_t kMostPatience = 16;

// No frame has it, nor a return address of 0: what is compared with node 0 must differ.
constexpr uint64_t kNoWord = ~uint64_t{1};

constinit uint64_t g_bytes = 0;  // of all caches beyond the first size

}  // namespace

uint32_t PathCache::FirstPlace(uint32_t inner, uint64_t word) const {
  uint64_t hash = (word ^ uint64_t{inner} << 32) * 0x9E37'79B9'7F4A'7C15;
  hash ^= hash >> 29;
  return static_cast<uint32_t>(hash >> 8) & (2 * capacity_ - 1);
}

uint32_t PathCache::Enter(uint32_t inner, uint64_t word) {
  if (__builtin_expect(capacity_ == 0, 0) && !Allocate(kFirstNodes)) return 0;
  uint32_t place = FirstPlace(inner, word);
  for (; index_[place] != 0; place = (place + 1) & (2 * capacity_ - 1)) {
    const PathNode& node = nodes_[index_[place]];
    if (node.word == word && node.inner == inner) return index_[place];
  }
  if (used_ == capacity_) {
    if (!MakeRoom()) return 0;
    place = FirstPlace(inner, word);
    while (index_[place] != 0) place = (place + 1) & (2 * capacity_ - 1);
  }
  const uint32_t made = used_++;
  nodes_[made] = PathNode{word, PathRuleOf(word, epoch_), 0, 0, inner, 0, 0, 0};
  index_[place] = made;
  return made;
}

void PathCache::Straighten(uint32_t inner) {
  PathNode& node = nodes_[inner];
  PathNode& next = nodes_[inner + 1];
  if (next.rise == 0) {
    if (inner + 2 < used_ && nodes_[inner + 2].rise != 0) return;  // a run begins there
    const uint32_t rise = node.rise + uint32_t{node.rule.cfa_words};
    if (rise > 0xFFFE) return;
    next.rise = static_cast<uint16_t>(rise);
    next.saved_at = node.rule.saved_words == 1 ? node.saved_at : static_cast<uint16_t>(rise - node.rule.saved_words + 1);
  }
  node.rule.straight = 1;
}

TailMemo* PathCache::Beyond() {
  if (beyond_ == nullptr) beyond_ = static_cast<TailMemo*>(sys::Carve(sizeof(TailMemo)));
  return beyond_;
}

void PathCache::Frames(uint32_t node, uint32_t depth, uint64_t* pcs) const {
  for (uint32_t i = depth; i > 0; node = nodes_[node].inner) pcs[--i] = nodes_[node].word;
}

void PathCache::Clear(uint32_t epoch) {
  epoch_ = epoch;
  used_ = 1;
  last_start_ = 0;
  refused_ = 0;
  if (index_ != nullptr) sys::Zero(index_, 2 * capacity_ * sizeof(uint32_t));
}

// The memory of the smaller table is given back: this thread alone knew it.
bool PathCache::Allocate(uint32_t capacity) {
  const uint64_t bytes = capacity * kBytesPerNode;
  const uint64_t more = bytes - capacity_ * kBytesPerNode;
  const bool first = capacity_ == 0;
  if (!first && sys::LoadRelaxed(&g_bytes) + more > kMostBytes) return false;
  auto* memory = static_cast<uint8_t*>(sys::MapPrivate(bytes));
  if (memory == nullptr) return false;
  if (!first) sys::AddRelaxed(&g_bytes, more);
  auto* nodes = reinterpret_cast<PathNode*>(memory);
  if (nodes_ != nullptr) {
    sys::Copy(nodes, nodes_, used_ * sizeof(PathNode));
    sys::Discard(nodes_, capacity_ * kBytesPerNode);
  }
  nodes_ = nodes;
  index_ = reinterpret_cast<uint32_t*>(memory + capacity * sizeof(PathNode));
  asm volatile("" ::: "memory");  // a jump out of here leaves no capacity beyond the memory
  capacity_ = capacity;
  if (used_ == 0) used_ = 1, patience_ = 1;
  nodes_[0].word = kNoWord;
  for (uint32_t node = 1; node < used_; ++node) Index(node);
  return true;
}

void PathCache::Index(uint32_t node) {
  uint32_t place = FirstPlace(nodes_[node].inner, nodes_[node].word);
  while (index_[place] != 0) place = (place + 1) & (2 * capacity_ - 1);
  index_[place] = node;
}

// During a walk: nodes keep their numbers, so a full cache is emptied between walks only (see Prepare).
bool PathCache::MakeRoom() {
  if (capacity_ < kMostNodes && Allocate(capacity_ * 4)) return true;
  if (++refused_ > patience_ * capacity_) {
    epoch_ = ~uint32_t{0};
    if (patience_ < kMostPatience) patience_ *= 2;
  }
  return false;
}

}  // namespace leakhunt::unwind
