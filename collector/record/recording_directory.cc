#include "collector/record/recording_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "collector/snapshot/recording.h"
#include "collector/snapshot/retention.h"

namespace leakhunt::record {
namespace {

constexpr int kMaxCollisions = 1000;

std::string SafeName(const std::string& name) {
  std::string safe;
  for (unsigned char c : name)
    safe += (std::isalnum(c) || c == '_' || c == '-' || (c == '.' && !safe.empty())) ? static_cast<char>(c) : '_';
  return safe.empty() ? "process" : safe;
}

std::string FileName(uint32_t number) {
  char name[32];
  std::snprintf(name, sizeof(name), "snapshot-%06u.lhs", number);
  return name;
}

uint32_t NumberOf(const std::filesystem::path& file) {
  unsigned number = 0;
  return std::sscanf(file.filename().c_str(), "snapshot-%u.lhs", &number) == 1 ? number : 0;
}

uint64_t SizeOnDisk(const std::filesystem::path& file) {
  std::error_code error;
  uint64_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

std::string PidAndStart(const ImageIdentity& identity) {
  return "-" + std::to_string(identity.pid) + "-" + std::to_string(identity.started_ms / 1000);
}

// "redis-server-12-1700000000" and "…-2" are of pid 12 and that start, whatever the name before them.
bool MayBeOf(const std::string& directory_name, const ImageIdentity& identity) {
  std::string tail = PidAndStart(identity);
  size_t at = directory_name.rfind(tail);
  if (at == std::string::npos) return false;
  size_t end = at + tail.size();
  return end == directory_name.size() || directory_name[end] == '-';
}

// Clocks of /proc count in hundredths of a second.
constexpr int64_t kClockStepMs = 20;

bool IsSameImage(const snapshot::Snapshot& last, const ImageIdentity& identity) {
  const snapshot::ProcessInfo& process = last.process;
  return process.pid == identity.pid && process.image == identity.image &&
         process.started_ms == identity.started_ms && process.uid == identity.uid &&
         process.end == snapshot::End::kRunning && identity.process_started_ms <= last.time_ms + kClockStepMs;
}

}  // namespace

std::string DirectoryName(const ImageIdentity& identity) { return SafeName(identity.name) + PidAndStart(identity); }

std::filesystem::path AbsoluteOutput(const std::filesystem::path& output) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(output, error);
  return error ? output : absolute;
}

std::optional<std::string> WhyUnwritable(const std::filesystem::path& output) {
  if (!output.is_absolute()) return std::strerror(ENOENT);  // its working directory was removed
  struct stat status {};
  std::filesystem::path path = output;
  while (stat(path.c_str(), &status) != 0) {  // what is missing would be made in the directory above
    if (errno != ENOENT || path == path.parent_path()) return std::strerror(errno);
    path = path.parent_path();
  }
  if (!S_ISDIR(status.st_mode)) return std::strerror(ENOTDIR);
  if (eaccess(path.c_str(), W_OK | X_OK) != 0) return std::strerror(errno);
  return std::nullopt;
}

Status MakeOutput(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return Ok();
  if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path(), error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoError("cannot make " + directory.native(), errno);
  return Ok();
}

RecordingDirectory::RecordingDirectory(std::filesystem::path output, ImageIdentity identity)
    : output_(std::move(output)), identity_(std::move(identity)) {}

Result<RecordingDirectory::Predecessor> RecordingDirectory::ContinueEarlier() {
  std::error_code error;
  std::filesystem::directory_iterator entries(output_, error), end;
  for (; !error && entries != end; entries.increment(error)) {
    if (!MayBeOf(entries->path().filename().native(), identity_)) continue;
    auto recordings = snapshot::FindRecordings(entries->path());
    if (!recordings || recordings->empty()) continue;
    const auto& files = recordings->front().files;
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      auto last = snapshot::ReadSnapshot(*file);
      if (!last) continue;
      if (!IsSameImage(*last, identity_)) break;
      directory_ = entries->path();
      last_number_ = NumberOf(files.back());
      for (const auto& stored : files) stored_bytes_ += SizeOnDisk(stored);
      return Predecessor{last->time_ms, last->process, last->losses.gaps};
    }
  }
  return Error{"no earlier recording"};
}

Status RecordingDirectory::Make() {
  if (Status made = MakeOutput(output_); !made) return made;
  std::string name = DirectoryName(identity_);
  for (int attempt = 1; attempt <= kMaxCollisions; ++attempt) {
    std::filesystem::path directory = output_ / (attempt == 1 ? name : name + "-" + std::to_string(attempt));
    if (mkdir(directory.c_str(), 0700) == 0) {
      directory_ = directory;
      return Ok();
    }
    if (errno != EEXIST) return ErrnoError("cannot make " + directory.native(), errno);
  }
  return Error{"too many recordings named " + name + " in " + output_.native()};
}

Result<std::filesystem::path> RecordingDirectory::NextFile() {
  std::error_code error;
  if (directory_.empty() || !std::filesystem::is_directory(directory_, error)) {
    if (Status made = Make(); !made) return std::move(made).error();
  }
  return directory_ / FileName(last_number_ + 1);
}

bool RecordingDirectory::DropOld(size_t least) {
  auto found = snapshot::FindRecordings(directory_);
  if (!found || found->front().files.size() < least) return false;
  const auto& files = found->front().files;
  size_t removed = 0;
  std::error_code error;
  for (size_t i = 0; i < files.size(); i += 2) removed += std::filesystem::remove(files[i], error);
  return removed > 0;
}

void RecordingDirectory::RemoveEmpty() {
  rmdir(directory_.c_str());
}

Status RecordingDirectory::Write(snapshot::SnapshotWriter* writer, snapshot::Snapshot* snapshot,
                                 uint64_t max_bytes) {
  snapshot->number = last_number_ + 1;
  if (Status written = writer->Write(*snapshot); !written) return written;
  std::error_code error;
  last_number_ = snapshot->number;
  last_bytes_ = SizeOnDisk(directory_ / FileName(last_number_));
  stored_bytes_ += last_bytes_;
  if (max_bytes == 0 || stored_bytes_ <= max_bytes) return Ok();
  Status thinned = snapshot::Thin(directory_, max_bytes);
  stored_bytes_ = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error))
    stored_bytes_ += SizeOnDisk(entry.path());
  return thinned;
}

}  // namespace leakhunt::record
