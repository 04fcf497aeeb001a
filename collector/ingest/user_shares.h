// How much of one thing each user holds, and whether a user may take one more.
//
// Root and the collector's own user are favoured: other users (strangers) together never take the last quarter, and one
// stranger never takes more than half. So no local user can fill what root's collector serves everybody from. Pure
// counting: no descriptor, no clock.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>

namespace leakhunt::ingest {

// Root's processes, and those of the user that the collector runs as.
inline bool IsFavoured(uid_t user) { return user == 0 || user == geteuid(); }

// At most `most`, and no more than this process's descriptors allow: a recorded process takes about six.
inline size_t CapacityByDescriptors(size_t most) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return most;
  constexpr size_t kReserve = 64, kPerProcess = 6;
  const size_t descriptors = std::max<size_t>(limit.rlim_cur, kReserve) - kReserve;
  return std::clamp<size_t>(descriptors / kPerProcess, 16, most);
}

class UserShares {
 public:
  explicit UserShares(size_t capacity) : capacity_(std::max<size_t>(capacity, 4)) {}

  size_t Capacity() const { return capacity_; }
  size_t OfOneStranger() const { return capacity_ / 2; }
  size_t OfAllStrangers() const { return capacity_ - capacity_ / 4; }

  size_t Held() const { return held_; }
  size_t HeldBy(uid_t user) const {
    auto found = users_.find(user);
    return found == users_.end() ? 0 : found->second;
  }

  bool HasRoom(uid_t user) const {
    if (held_ >= capacity_) return false;
    return IsFavoured(user) || (HeldBy(user) < OfOneStranger() && held_by_strangers_ < OfAllStrangers());
  }

  void Take(uid_t user) {
    ++held_;
    ++users_[user];
    held_by_strangers_ += !IsFavoured(user);
  }

  void GiveBack(uid_t user) {
    auto found = users_.find(user);
    if (found == users_.end()) return;
    --held_;
    held_by_strangers_ -= !IsFavoured(user);
    if (--found->second == 0) users_.erase(found);
  }

  // Of `user`'s group (favoured or strangers): the user that holds most; `user` itself when nobody holds any.
  uid_t GreediestLike(uid_t user) const {
    uid_t greediest = user;
    for (const auto& [other, held] : users_) {
      if (IsFavoured(other) == IsFavoured(user) && held > HeldBy(greediest)) greediest = other;
    }
    return greediest;
  }

 private:
  size_t capacity_;
  size_t held_ = 0;
  size_t held_by_strangers_ = 0;
  std::map<uid_t, size_t> users_;
};

}  // namespace leakhunt::ingest
