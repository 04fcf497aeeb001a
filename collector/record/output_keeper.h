// What lies in one directory of recordings: those whose process ended while nobody watched, and what all of it weighs.
//
// Several collectors may record into one directory, so what this one did not make is judged by /proc. Nothing of a
// process that lives is removed, but its recording may be thinned. Single thread; long work gives way (base/turns.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"

namespace leakhunt::record {

class OutputKeeper {
 public:
  // `is_running`: whether this collector is recording into the directory now. `is_favoured`: of a user whose recordings
  // may take all the room; every other user's together may take half of it.
  OutputKeeper(std::filesystem::path output, uint64_t max_bytes,
               std::function<bool(const std::filesystem::path&)> is_running, std::function<bool(uid_t)> is_favoured);

  // A recording whose last snapshot says that the process runs, while it does not, gets one that says `lost`, as of its
  // last snapshot. Ends early once `stop` says so.
  void MarkLost(const std::function<bool()>& stop);

  // A snapshot of `bytes` of user `uid` was written into `recording`. When all recordings together are over the ceiling,
  // the oldest ended ones go (of a user over its share first), then snapshots of the largest are thinned.
  void Wrote(const std::filesystem::path& recording, uid_t uid, uint64_t bytes);

  // Removes the recording that ended first. False: there is none to remove.
  bool RemoveOldest();

 private:
  struct Entry {
    std::filesystem::path directory;
    uint64_t bytes = 0;       // on disk, with the directory
    uint64_t file_bytes = 0;  // lengths of the files: a small one takes a whole block on disk
    int64_t changed_ns = 0;
  };

  static Entry Measure(const std::filesystem::path& directory);

  std::vector<Entry> Scan() const;  // oldest first
  static uint64_t SumOf(const std::vector<Entry>& entries);
  bool MayGo(const std::filesystem::path& recording) const;
  void MakeRoom();
  uint64_t ThinLargest(std::vector<Entry>* entries, bool only_strangers) const;
  uint64_t BytesOfStrangers(const std::vector<Entry>& entries) const;
  bool OfStranger(const std::filesystem::path& recording) const;

  std::filesystem::path output_;
  uint64_t max_bytes_;
  std::function<bool(const std::filesystem::path&)> is_running_;
  std::function<bool(uid_t)> is_favoured_;
  std::map<std::filesystem::path, uid_t> owners_;  // as far as known
  uint64_t bytes_ = 0;                             // of all, an estimate between two scans
  bool scanned_ = false;
  bool making_room_ = false;  // by another piece of work, which gave way
};

// What a snapshot says of a process whose end nobody saw: `last` with end `lost`, numbered after it.
snapshot::Snapshot LostAfter(const snapshot::Snapshot& last);

// Whether the process that was called `pid` at `time_ms` (Unix) lives.
bool StillLives(pid_t pid, int64_t time_ms);

}  // namespace leakhunt::record
