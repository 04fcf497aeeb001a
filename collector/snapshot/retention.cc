#include "collector/snapshot/retention.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "collector/snapshot/file_header.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::snapshot {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;

// The slot of the schedule a snapshot falls in; of each slot the oldest stays. Unique within the last hour.
int64_t ScheduleSlot(int64_t time_ms, int64_t newest_ms, size_t index) {
  int64_t age = newest_ms - time_ms;
  if (age <= kHourMs) return static_cast<int64_t>(index);
  return age <= kDayMs ? -1 - time_ms / kHourMs : -1'000'000'000 - time_ms / kDayMs;
}

// How little is lost without this one: the gap it would leave, against its age. Smallest goes first.
double Crowding(const std::vector<StoredSnapshot>& stored, const std::vector<size_t>& kept, size_t i) {
  double gap = static_cast<double>(stored[kept[i + 1]].time_ms - stored[kept[i - 1]].time_ms);
  double age = static_cast<double>(stored.back().time_ms - stored[kept[i]].time_ms);
  return gap / (std::max(age, 0.0) + 60'000.0);
}

class Choice {
 public:
  Choice(const std::vector<StoredSnapshot>& stored, uint64_t max_bytes) : stored_(stored), max_bytes_(max_bytes) {
    for (size_t i = 0; i < stored.size(); ++i) {
      kept_.push_back(i);
      bytes_ += stored[i].size_bytes;
    }
  }
  std::vector<size_t> Make() {
    RemoveOffSchedule();
    while (bytes_ > max_bytes_ && kept_.size() > 2) RemoveMostCrowded();
    return removed_;
  }

 private:
  void RemoveOffSchedule() {
    std::vector<size_t> kept;
    int64_t slot_before = 0;
    for (size_t i : kept_) {
      int64_t slot = ScheduleSlot(stored_[i].time_ms, stored_.back().time_ms, i);
      bool inner = i != 0 && i + 1 != stored_.size();
      if (inner && slot == slot_before && bytes_ > max_bytes_) {
        Remove(i);
      } else {
        kept.push_back(i);
      }
      slot_before = slot;
    }
    kept_ = std::move(kept);
  }
  void RemoveMostCrowded() {
    size_t best = 1;
    for (size_t i = 2; i + 1 < kept_.size(); ++i) {
      if (Crowding(stored_, kept_, i) < Crowding(stored_, kept_, best)) best = i;
    }
    Remove(kept_[best]);
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(best));
  }
  void Remove(size_t i) {
    bytes_ -= stored_[i].size_bytes;
    removed_.push_back(i);
  }

  const std::vector<StoredSnapshot>& stored_;
  uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  std::vector<size_t> kept_, removed_;
};

StoredSnapshot Describe(const std::filesystem::path& file) {
  StoredSnapshot stored{file, 0, 0};
  struct stat status;
  if (::stat(file.c_str(), &status) == 0) {
    stored.size_bytes = static_cast<uint64_t>(status.st_size);
    stored.time_ms = int64_t{status.st_mtim.tv_sec} * 1000;
  }
  if (Result<FileHeader> header = ReadHeader(file)) stored.time_ms = header->time_ms;
  return stored;
}

}  // namespace

std::vector<size_t> ChooseRemovals(const std::vector<StoredSnapshot>& stored, uint64_t max_bytes) {
  if (stored.size() <= 2) return {};
  return Choice(stored, max_bytes).Make();
}

Status Thin(const std::filesystem::path& directory, uint64_t max_bytes) {
  Result<std::vector<Recording>> found = FindRecordings(directory);
  if (!found || found->size() != 1 || found->front().directory != directory) return Ok();
  std::vector<StoredSnapshot> stored;
  for (const std::filesystem::path& file : found->front().files) stored.push_back(Describe(file));
  for (size_t i : ChooseRemovals(stored, max_bytes)) {
    std::error_code defect;
    std::filesystem::remove(stored[i].file, defect);
    if (defect) return Error{fmt::format("cannot remove {}: {}", stored[i].file.string(), defect.message())};
  }
  return Ok();
}

}  // namespace leakhunt::snapshot
