#include "viewer/which_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <ostream>

#include "collector/base/clean_text.h"
#include "collector/base/quantity.h"
#include "collector/snapshot/file_header.h"

namespace leakhunt::viewer {
namespace {

using snapshot::FileHeader;
using snapshot::Recording;
using snapshot::Snapshot;

constexpr int64_t kDayMs = 24 * 3'600'000;

double LiveMemory(const Snapshot& snapshot) {
  double live = 0;
  for (const snapshot::Site& site : snapshot.sites) live += site.live_bytes.value;
  return live;
}

// Less than this is not worth another snapshot than the one that was asked for.
constexpr double kSmallMemory = 64 * 1024;
constexpr uint64_t kFewHandles = 16;

std::optional<uint32_t> NumberIn(const std::string& which) {
  uint32_t number = 0;
  const char* end = which.data() + which.size();
  auto [stop, defect] = std::from_chars(which.data(), end, number);
  return defect == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

// "12:30" or "12:30:15" as milliseconds of the day.
std::optional<int64_t> TimeOfDayIn(const std::string& which) {
  int hours = 0, minutes = 0, seconds = 0, used = 0;
  const bool told = (std::sscanf(which.c_str(), "%2d:%2d:%2d%n", &hours, &minutes, &seconds, &used) == 3 &&
                     used == static_cast<int>(which.size())) ||
                    (seconds = 0, std::sscanf(which.c_str(), "%2d:%2d%n", &hours, &minutes, &used) == 2 &&
                                      used == static_cast<int>(which.size()));
  if (!told || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60)
    return std::nullopt;
  return int64_t{1000} * (hours * 3600 + minutes * 60 + seconds);
}

ChosenSnapshot Chosen(Snapshot snapshot, Recording recording, size_t index) {
  const size_t count = recording.files.size();
  recording.files.resize(index + 1);
  return {std::move(snapshot), std::move(recording), count, false};
}

Result<ChosenSnapshot> ReadAt(Recording recording, size_t index) {
  Result<Snapshot> read = snapshot::ReadSnapshot(recording.files[index]);
  if (!read) return std::move(read.error());
  return Chosen(std::move(*read), std::move(recording), index);
}

Result<ChosenSnapshot> ReadNumber(Recording recording, uint32_t number) {
  for (size_t i = 0; i < recording.files.size(); ++i) {
    Result<FileHeader> header = snapshot::ReadHeader(recording.files[i]);
    if (header && header->number == number) return ReadAt(std::move(recording), i);
  }
  Result<FileHeader> last = snapshot::ReadHeader(recording.files.back());
  return Error{fmt::format("no snapshot {} in {}: it has {} of them{}", number, recording.directory.string(),
                           recording.files.size(), last ? fmt::format(", the last is {}", last->number) : "")};
}

Result<ChosenSnapshot> ReadFirst(Recording recording, std::ostream& err) {
  Error first_defect;
  for (size_t i = 0; i < recording.files.size(); ++i) {
    Result<ChosenSnapshot> read = ReadAt(recording, i);
    if (read) return read;
    err << MessageLine("leakhunt-report", read.error().message);
    if (first_defect.message.empty()) first_defect = std::move(read.error());
  }
  return first_defect;
}

Result<ChosenSnapshot> ReadEnd(Recording recording, std::ostream& err) {
  const size_t count = recording.files.size();
  Result<Snapshot> newest = ReadNewest(&recording, err);
  if (!newest) return std::move(newest.error());
  const size_t index = recording.files.size() - 1;
  ChosenSnapshot chosen = Chosen(std::move(*newest), std::move(recording), index);
  chosen.snapshots = count;
  return chosen;
}

void TellEnd(const snapshot::ProcessInfo& end, snapshot::ProcessInfo* of) {
  of->end = end.end;
  of->ended_ms = end.ended_ms;
  of->exit_status = end.exit_status;
  of->signal = end.signal;
}

Result<ChosenSnapshot> ReadLast(Recording recording, std::ostream& err) {
  Result<ChosenSnapshot> end = ReadEnd(std::move(recording), err);
  if (!end || end->snapshot.process.end != snapshot::End::kExit || end->recording.files.size() < 2) return end;
  Recording before = end->recording;
  before.files.pop_back();
  Result<Snapshot> last = ReadNewest(&before, err);
  if (!last || !ToreItselfDown(*last, end->snapshot)) return end;
  TellEnd(end->snapshot.process, &last->process);
  return ChosenSnapshot{std::move(*last), std::move(before), end->snapshots, true};
}

// The newest of which `fits` is true; `fits` gets the whole snapshot.
template <typename Fits>
Result<std::optional<ChosenSnapshot>> NewestThat(const Recording& recording, std::ostream& err, Fits fits) {
  for (size_t i = recording.files.size(); i-- > 0;) {
    Result<Snapshot> read = snapshot::ReadSnapshot(recording.files[i]);
    if (!read) {
      err << MessageLine("leakhunt-report", read.error().message);
    } else if (fits(*read)) {
      return std::optional(Chosen(std::move(*read), recording, i));
    }
  }
  return std::optional<ChosenSnapshot>();
}

Result<ChosenSnapshot> ReadPeak(Recording recording, std::ostream& err) {
  std::optional<size_t> peak;
  double most = -1;
  for (size_t i = 0; i < recording.files.size(); ++i) {
    Result<Snapshot> read = snapshot::ReadSnapshot(recording.files[i]);
    if (!read) {
      err << MessageLine("leakhunt-report", read.error().message);
    } else if (const double live = LiveMemory(*read); live > most) {
      most = live;
      peak = i;
    }
  }
  if (!peak) return Error{fmt::format("no snapshot of {} can be read", recording.directory.string())};
  return ReadAt(std::move(recording), *peak);
}

Result<ChosenSnapshot> ReadBy(Recording recording, int64_t time_ms, const std::string& which, std::ostream& err) {
  for (size_t i = recording.files.size(); i-- > 0;) {
    Result<FileHeader> header = snapshot::ReadHeader(recording.files[i]);
    if (!header || header->time_ms > time_ms) continue;
    Result<ChosenSnapshot> read = ReadAt(recording, i);
    if (read) return read;
    err << MessageLine("leakhunt-report", read.error().message);
  }
  return Error{fmt::format("no snapshot in {} is as old as {}", recording.directory.string(), which)};
}

// Of the newest snapshot whose header can be read; 0 when none can.
int64_t NewestTime(const Recording& recording) {
  for (size_t i = recording.files.size(); i-- > 0;) {
    if (Result<FileHeader> header = snapshot::ReadHeader(recording.files[i])) return header->time_ms;
  }
  return 0;
}

Result<ChosenSnapshot> ReadLabel(Recording recording, const std::string& label, std::ostream& err) {
  auto found = NewestThat(recording, err, [&](const Snapshot& snapshot) { return snapshot.label == label; });
  if (!found) return std::move(found.error());
  if (*found) return std::move(**found);
  return Error{fmt::format("{} is not a snapshot of {}: a number, first, last, end, peak, a label, -5m or 12:30", label,
                           recording.directory.string()),
               2};
}

}  // namespace

bool ToreItselfDown(const Snapshot& before, const Snapshot& end) {
  if (end.process.end != snapshot::End::kExit || end.process.replaced_by_exec) return false;
  const double memory = LiveMemory(before);
  const uint64_t handles = before.handle_totals.open;
  return (memory >= kSmallMemory && LiveMemory(end) < memory / 2) ||
         (handles >= kFewHandles && end.handle_totals.open < handles / 2);
}

Result<Snapshot> ReadNewest(Recording* recording, std::ostream& err) {
  Error newest_defect;
  while (!recording->files.empty()) {
    Result<Snapshot> read = snapshot::ReadSnapshot(recording->files.back());
    if (read) return read;
    if (newest_defect.message.empty()) {
      newest_defect = std::move(read.error());
      if (recording->files.size() == 1) return newest_defect;
      err << MessageLine("leakhunt-report", newest_defect.message + "; the snapshot before it is used");
    }
    recording->files.pop_back();
  }
  return newest_defect;
}

Result<ChosenSnapshot> ReadWhich(Recording recording, const std::string& which, std::ostream& err) {
  if (which == "last") return ReadLast(std::move(recording), err);
  if (which == "end") return ReadEnd(std::move(recording), err);
  if (which == "first") return ReadFirst(std::move(recording), err);
  if (which == "peak") return ReadPeak(std::move(recording), err);
  if (std::optional<uint32_t> number = NumberIn(which)) return ReadNumber(std::move(recording), *number);
  const int64_t newest_ms = NewestTime(recording);
  if (std::optional<int64_t> of_day = TimeOfDayIn(which)) {
    const int64_t midnight_ms = newest_ms / kDayMs * kDayMs;
    const int64_t wanted_ms = midnight_ms + *of_day;
    return ReadBy(std::move(recording), wanted_ms <= newest_ms ? wanted_ms : wanted_ms - kDayMs, which, err);
  }
  if (which.size() > 1 && which[0] == '-') {
    if (Result<int64_t> back_ms = ParseDuration(which.substr(1))) {
      return ReadBy(std::move(recording), newest_ms - *back_ms, which, err);
    }
  }
  return ReadLabel(std::move(recording), which, err);
}

}  // namespace leakhunt::viewer
