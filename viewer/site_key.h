// What makes a call site the same in another snapshot of the process, and in its sibling processes.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "collector/snapshot/model.h"

namespace leakhunt::viewer {

struct SiteKey {
  uint64_t content_hash = 0;
  uint8_t kind = 0;  // SiteKind, or kHandleKey + HandleType

  auto operator<=>(const SiteKey&) const = default;
};

inline constexpr uint8_t kHandleKey = 64;

inline SiteKey KeyOf(const snapshot::Snapshot& s, const snapshot::Site& site) {
  return {s.stacks[site.stack].content_hash, static_cast<uint8_t>(site.kind)};
}
inline SiteKey KeyOf(const snapshot::Snapshot& s, const snapshot::HandleSite& site) {
  return {s.stacks[site.stack].content_hash, static_cast<uint8_t>(kHandleKey + static_cast<uint8_t>(site.type))};
}

}  // namespace leakhunt::viewer

template <>
struct std::hash<leakhunt::viewer::SiteKey> {
  size_t operator()(const leakhunt::viewer::SiteKey& key) const noexcept {
    return static_cast<size_t>(key.content_hash * 31 + key.kind);
  }
};
