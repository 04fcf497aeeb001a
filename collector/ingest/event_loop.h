// The collector's one event loop: descriptors in epoll, each with a handler.
//
// One thread; handlers run one after the other and may add and remove sources, themselves included. A source that was
// removed is never called again, even when its event was already fetched or its descriptor number was reused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::ingest {

class EventLoop {
 public:
  using SourceId = uint64_t;  // never reused; 0 = none
  using Handler = std::function<void(uint32_t epoll_events)>;

  static Result<std::unique_ptr<EventLoop>> Create();

  // Calls `handler` whenever `fd` (not owned; must outlive the source) is ready, level-triggered.
  Result<SourceId> Add(int fd, uint32_t epoll_events, Handler handler);

  // Unknown ids are ignored. Must come before the descriptor is closed.
  void Remove(SourceId id);

  // Waits at most `timeout_ms` (-1: for ever) and serves what is ready.
  Status RunOnce(int timeout_ms);

 private:
  struct Source {
    int fd;
    std::shared_ptr<Handler> handler;
  };
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  UniqueFd epoll_;
  SourceId next_id_ = 1;
  std::unordered_map<SourceId, Source> sources_;
};

}  // namespace leakhunt::ingest
