#include "collector/ingest/event_loop.h"

#include <sys/epoll.h>

#include <cerrno>

namespace leakhunt::ingest {

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.Valid()) return ErrnoError("cannot create an epoll descriptor", errno);
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

Result<EventLoop::SourceId> EventLoop::Add(int fd, uint32_t epoll_events, Handler handler) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = next_id_;
  if (epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, fd, &event) != 0) return ErrnoError("cannot watch a descriptor", errno);
  sources_[next_id_] = {fd, std::make_shared<Handler>(std::move(handler))};
  return next_id_++;
}

void EventLoop::Remove(SourceId id) {
  auto found = sources_.find(id);
  if (found == sources_.end()) return;
  epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  sources_.erase(found);
}

Status EventLoop::RunOnce(int timeout_ms) {
  epoll_event events[64];
  int count = epoll_wait(epoll_.Get(), events, 64, timeout_ms);
  if (count < 0 && errno != EINTR) return ErrnoError("cannot wait for events", errno);
  for (int i = 0; i < count; ++i) {
    auto found = sources_.find(events[i].data.u64);
    if (found == sources_.end()) continue;
    std::shared_ptr<Handler> handler = found->second.handler;  // it may remove itself
    (*handler)(events[i].events);
  }
  return Ok();
}

}  // namespace leakhunt::ingest
