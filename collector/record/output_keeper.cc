#include "collector/record/output_keeper.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "collector/base/turns.h"
#include "collector/notice.h"
#include "collector/snapshot/file_header.h"
#include "collector/snapshot/recording.h"
#include "collector/snapshot/retention.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::record {
namespace {

namespace fs = std::filesystem;

constexpr int kWholeTurn = 1 << 10;        // as many pauses as make a look at the clock sure
constexpr int64_t kClockStepMs = 20;       // /proc counts in hundredths of a second
constexpr uint64_t kDirectoryBytes = 4096, kBlockBytes = 4096;
constexpr size_t kMostOwners = size_t{1} << 18;
constexpr int kMostThinned = 16;           // in one go

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

// The pid in NAME-PID-STARTTIME[-N]; 0: no such name.
pid_t PidOf(const fs::path& recording) {
  std::string name = recording.filename().native();
  const auto number_after = [&](size_t dash) {
    char* end = nullptr;
    const long long number = std::strtoll(name.c_str() + dash + 1, &end, 10);
    return end != name.c_str() + dash + 1 && *end == '\0' ? number : -1;
  };
  long long numbers[3] = {-1, -1, -1};  // from the end
  for (long long& number : numbers) {
    const size_t dash = name.rfind('-');
    if (dash == std::string::npos || (number = number_after(dash)) < 0) break;
    name.resize(dash);
  }
  constexpr long long kMostCollisions = 1000;
  const bool has_count = numbers[2] >= 0 && numbers[0] <= kMostCollisions;
  const long long pid = has_count ? numbers[2] : numbers[1];
  return pid > 0 && pid <= (1 << 22) ? static_cast<pid_t>(pid) : 0;
}

uint64_t BlocksOf(const struct stat& status) { return static_cast<uint64_t>(status.st_blocks) * 512; }

}  // namespace

bool StillLives(pid_t pid, int64_t time_ms) {
  auto process = watch::ProcDirectory::Open(pid);
  auto stat = process ? watch::ParseProcessStat(process->Read("stat").value_or("")) : std::nullopt;
  if (!stat || stat->state == 'X') return false;
  if (stat->state == 'Z' && !process->OfLivingThread()) return false;
  return watch::StartMs(stat->start_ticks) <= time_ms + kClockStepMs;
}

snapshot::Snapshot LostAfter(const snapshot::Snapshot& last) {
  snapshot::Snapshot lost = last;
  ++lost.number;
  lost.time_ms = last.time_ms + 1;
  lost.reason = "death";
  lost.label.clear();
  lost.vitals.clear();  // the last snapshot has them
  lost.process.end = snapshot::End::kLost;
  lost.process.ended_ms = last.time_ms;
  return lost;
}

OutputKeeper::OutputKeeper(fs::path output, uint64_t max_bytes, std::function<bool(const fs::path&)> is_running,
                           std::function<bool(uid_t)> is_favoured)
    : output_(std::move(output)),
      max_bytes_(max_bytes),
      is_running_(std::move(is_running)),
      is_favoured_(std::move(is_favoured)) {}

void OutputKeeper::MarkLost(const std::function<bool()>& stop) {
  auto recordings = snapshot::FindRecordings(output_);
  if (!recordings) return;
  for (const snapshot::Recording& recording : *recordings) {
    Turns::Pause(kWholeTurn);
    if (stop()) return;
    if (recording.directory == output_ || is_running_(recording.directory)) continue;
    auto header = snapshot::ReadHeader(recording.files.back());
    const pid_t pid = PidOf(recording.directory);
    if (!header || pid == 0 || StillLives(pid, header->time_ms)) continue;
    auto last = snapshot::ReadSnapshot(recording.files.back());
    if (!last) continue;
    if (owners_.size() < kMostOwners) owners_[recording.directory] = last->process.uid;
    if (last->process.end != snapshot::End::kRunning || last->process.host != HostName()) continue;
    const snapshot::Snapshot lost = LostAfter(*last);
    // By link, which replaces nothing: another collector may be writing the true end just now.
    const fs::path temporary = recording.directory / "lost";
    const fs::path file = recording.directory / fmt::format("snapshot-{:06}.lhs", lost.number);
    if (!snapshot::WriteSnapshot(lost, temporary)) continue;
    if (::link(temporary.c_str(), file.c_str()) == 0) {
      Detail("process " + std::to_string(pid) + " ended while no collector was there: " + recording.directory.native());
    }
    ::unlink(temporary.c_str());
  }
}

OutputKeeper::Entry OutputKeeper::Measure(const fs::path& directory) {
  Entry entry{directory, kDirectoryBytes, 0, 0};
  std::error_code error;
  for (fs::directory_iterator file(directory, error), last; !error && file != last; file.increment(error)) {
    struct stat status {};
    if (::lstat(file->path().c_str(), &status) != 0) continue;
    entry.bytes += BlocksOf(status);
    entry.file_bytes += static_cast<uint64_t>(status.st_size);
    entry.changed_ns = std::max(entry.changed_ns, int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec);
  }
  return entry;
}

std::vector<OutputKeeper::Entry> OutputKeeper::Scan() const {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(output_, error), end; !error && it != end; it.increment(error)) {
    Turns::Pause(kWholeTurn);
    if (it->is_symlink(error) || !it->is_directory(error) || PidOf(it->path()) == 0) continue;
    entries.push_back(Measure(it->path()));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.changed_ns < b.changed_ns; });
  return entries;
}

uint64_t OutputKeeper::SumOf(const std::vector<Entry>& entries) {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes;
  return bytes;
}

bool OutputKeeper::MayGo(const fs::path& recording) const {
  if (is_running_(recording)) return false;
  auto found = snapshot::FindRecordings(recording);
  if (!found || found->front().files.empty()) return false;  // just begun by another collector, or none of ours
  auto header = snapshot::ReadHeader(found->front().files.back());
  return !header || !StillLives(PidOf(recording), header->time_ms);
}

bool OutputKeeper::OfStranger(const fs::path& recording) const {
  auto owner = owners_.find(recording);
  return owner != owners_.end() && !is_favoured_(owner->second);
}

uint64_t OutputKeeper::BytesOfStrangers(const std::vector<Entry>& entries) const {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += OfStranger(entry.directory) ? entry.bytes : 0;
  return bytes;
}

void OutputKeeper::Wrote(const fs::path& recording, uid_t uid, uint64_t bytes) {
  const bool begun = owners_.find(recording) == owners_.end();
  if (owners_.size() < kMostOwners) owners_[recording] = uid;
  if (max_bytes_ == 0) return;
  bytes_ += (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes + (begun ? kDirectoryBytes : 0);
  if (making_room_) return;
  making_room_ = true;
  if (!scanned_) bytes_ = SumOf(Scan());
  scanned_ = true;
  if (bytes_ > max_bytes_) MakeRoom();
  making_room_ = false;
}

// Of the recording that takes most, half; returns the bytes that this gave back. One that gives back nothing is left alone
// from there on.
uint64_t OutputKeeper::ThinLargest(std::vector<Entry>* entries, bool only_strangers) const {
  Entry* largest = nullptr;
  for (Entry& entry : *entries) {
    if (only_strangers && !OfStranger(entry.directory)) continue;
    if (largest == nullptr || entry.bytes > largest->bytes) largest = &entry;
  }
  if (largest == nullptr || largest->bytes <= kDirectoryBytes) return 0;
  (void)snapshot::Thin(largest->directory, largest->file_bytes / 2);
  const uint64_t before = largest->bytes;
  *largest = Measure(largest->directory);
  if (largest->bytes >= before) return largest->bytes = 0;
  return before - largest->bytes;
}

// Down to 95 %, so that the next snapshot does not need another scan.
void OutputKeeper::MakeRoom() {
  std::vector<Entry> entries = Scan();
  uint64_t bytes = SumOf(entries);
  const uint64_t goal = max_bytes_ / 100 * 95;
  uint64_t strangers = BytesOfStrangers(entries);
  size_t removed = 0;
  const auto remove = [&](bool only_strangers) {
    for (Entry& entry : entries) {
      if (bytes <= goal || (only_strangers && strangers <= max_bytes_ / 2)) return;
      Turns::Pause(kWholeTurn);
      const bool of_stranger = OfStranger(entry.directory);
      if (entry.bytes == 0 || (only_strangers && !of_stranger) || !MayGo(entry.directory)) continue;
      std::error_code error;
      fs::remove_all(entry.directory, error);
      if (error) continue;
      owners_.erase(entry.directory);
      bytes -= entry.bytes;
      if (of_stranger) strangers -= entry.bytes;
      entry.bytes = 0;
      ++removed;
    }
  };
  remove(true);
  remove(false);
  for (int thinned = 0; bytes > goal && thinned < kMostThinned; ++thinned) {
    bytes -= ThinLargest(&entries, strangers > max_bytes_ / 2);
  }
  bytes_ = bytes;
  if (removed > 0) {
    NoticeOnce("total " + output_.native(), "recordings in " + output_.native() +
                                                " reached --max-disk-total: the oldest ended ones are removed");
  }
}

bool OutputKeeper::RemoveOldest() {
  for (const Entry& entry : Scan()) {
    if (!MayGo(entry.directory)) continue;
    std::error_code error;
    fs::remove_all(entry.directory, error);
    if (!error) return owners_.erase(entry.directory), true;
  }
  return false;
}

}  // namespace leakhunt::record
