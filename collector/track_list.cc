#include "collector/track_list.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "preload/protocol/layout.h"

namespace leakhunt {

Result<uint32_t> ParseTrack(const std::string& text) {
  constexpr std::pair<const char*, uint32_t> kNames[] = {{"heap", protocol::kTrackHeap},
                                                         {"mmap", protocol::kTrackMmap},
                                                         {"handles", protocol::kTrackHandles},
                                                         {"threads", protocol::kTrackThreads},
                                                         {"all", protocol::kTrackAll}};
  uint32_t mask = 0;
  std::istringstream parts(text);
  std::string part;
  do {
    std::getline(parts, part, ',');
    auto found =
        std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& name) { return part == name.first; });
    if (found == std::end(kNames)) {
      return Error{"'" + part + "' cannot be tracked: choose from heap, mmap, handles, threads"};
    }
    mask |= found->second;
  } while (!parts.eof());
  return mask;
}

}  // namespace leakhunt
