// A stack of a snapshot as people read it: function, file, line; without the allocator's own frames.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "collector/snapshot/model.h"
#include "viewer/options.h"

namespace leakhunt::symbolizer {
class Symbolizer;
}

namespace leakhunt::viewer {

// F of the JSON. Fields empty or 0 when unknown.
struct ResolvedFrame {
  std::string function;
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string module;    // path
  std::string build_id;
  uint64_t offset = 0;   // ELF virtual address of the call (not of the return); plain address without a module
  bool inlined = false;
};

// Frames, innermost first. They are the resolver's: a snapshot has a hundred thousand stacks of few thousand frames.
class ResolvedStack {
 public:
  class Iterator {
   public:
    using value_type = ResolvedFrame;
    using difference_type = std::ptrdiff_t;
    using reference = const ResolvedFrame&;
    using pointer = const ResolvedFrame*;
    using iterator_category = std::bidirectional_iterator_tag;

    Iterator() = default;
    explicit Iterator(const ResolvedFrame* const* at) : at_(at) {}
    reference operator*() const { return **at_; }
    pointer operator->() const { return *at_; }
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return Iterator(at_++); }
    Iterator& operator--() { return --at_, *this; }
    Iterator operator--(int) { return Iterator(at_--); }
    bool operator==(const Iterator&) const = default;

   private:
    const ResolvedFrame* const* at_ = nullptr;
  };

  ResolvedStack() = default;
  explicit ResolvedStack(std::vector<const ResolvedFrame*> frames) : frames_(std::move(frames)) {}

  size_t size() const { return frames_.size(); }
  bool empty() const { return frames_.empty(); }
  const ResolvedFrame& operator[](size_t i) const { return *frames_[i]; }
  const ResolvedFrame& front() const { return *frames_.front(); }
  const ResolvedFrame& back() const { return *frames_.back(); }
  Iterator begin() const { return Iterator(frames_.data()); }
  Iterator end() const { return Iterator(frames_.data() + frames_.size()); }
  std::reverse_iterator<Iterator> rbegin() const { return std::reverse_iterator(end()); }
  std::reverse_iterator<Iterator> rend() const { return std::reverse_iterator(begin()); }

 private:
  friend class Resolver;
  std::vector<const ResolvedFrame*> frames_;
};

// Resolves the stacks of one snapshot; each frame and each stack once. Keeps a reference to the snapshot. Symbols are looked for in
// `directory`/symbols first, JIT maps are `directory`/perf-PID.map. Not thread-safe.
class Resolver {
 public:
  Resolver(const snapshot::Snapshot& snapshot, const Options& options, const std::filesystem::path& directory);
  ~Resolver();

  const ResolvedStack& Stack(uint32_t stack);
  // What could not be looked up and why, one line each.
  std::vector<std::string> Warnings() const;

 private:
  const std::vector<ResolvedFrame>& Frames(uint32_t frame);

  const snapshot::Snapshot& snapshot_;
  bool symbols_;
  std::unique_ptr<symbolizer::Symbolizer> symbolizer_;
  // By the snapshot's indices. Several to a frame where calls were inlined; none: not asked for yet.
  std::vector<std::vector<ResolvedFrame>> frames_;
  std::unordered_map<uint32_t, ResolvedStack> stacks_;
};

// The first frame of the program's own: not libc's, the C++ library's or the allocator's, in function or in module.
// nullptr when the stack is empty; the innermost frame when none is the program's own.
const ResolvedFrame* OwnFrame(const ResolvedStack& stack);
// Its place; 0 in an empty stack.
size_t OwnFramePlace(const ResolvedStack& stack);

// "handle_request server.cc:42"; "libfoo.so+0x1234" without a symbol; "(unknown)" for null. File names without
// directory, functions without parameters.
std::string PlaceName(const ResolvedFrame* frame);
enum class NameStyle { kShort, kFull };
// As it stands in a stack listing: "handle_request (server.cc:42)".
std::string FrameName(const ResolvedFrame& frame, NameStyle style);
// The last part of a path.
std::string_view BaseName(std::string_view path);

}  // namespace leakhunt::viewer
