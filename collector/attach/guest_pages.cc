#include "collector/attach/guest_pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <sstream>

#include "collector/ledger/page_file.h"
#include "collector/watch/process_end.h"

namespace leakhunt::attach {
namespace {

constexpr char kPagesName[] = "/memfd:leakhunt";

std::string Named(pid_t pid) { return "process " + std::to_string(pid); }

// pidfd_getfd shares the open file; on kernels before 5.6 the link in /proc opens the same file anew.
UniqueFd Duplicate(int pidfd, pid_t pid, int fd) {
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, fd, 0)));
  if (copy.Valid()) return copy;
  int first_error = errno;
  copy.Reset(open(("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC));
  if (!copy.Valid()) errno = first_error;
  return copy;
}

// Of the pages' header; nothing when they are none of ours.
std::optional<uint32_t> FlagsOf(const UniqueFd& memfd) {
  auto pages = ledger::PageFile::Open(UniqueFd(fcntl(memfd.Get(), F_DUPFD_CLOEXEC, 0)));
  if (!pages) return std::nullopt;
  auto header = pages->ReadHeader();
  return header ? std::optional(header->flags) : std::nullopt;
}

// The pages by their mapping, where the program closed the descriptor behind leakhunt's back: for root alone (proc(5),
// "map_files"). Invalid when there are none, or it is not allowed.
UniqueFd FindMapped(const watch::ProcDirectory& process, pid_t pid) {
  std::istringstream lines(process.Read("maps", 64u << 20).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.find(kPagesName) == std::string::npos) continue;
    unsigned long start = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &start, &end) != 2) continue;
    char name[64];
    std::snprintf(name, sizeof(name), "/map_files/%lx-%lx", start, end);
    UniqueFd file(open(("/proc/" + std::to_string(pid) + name).c_str(), O_RDWR | O_CLOEXEC));
    if (file.Valid() && FlagsOf(file)) return file;
  }
  return UniqueFd();
}


}  // namespace

Result<GuestPages> TakePages(pid_t pid) {
  auto process = watch::ProcDirectory::Open(pid);
  if (!process) return Error{"there is no " + Named(pid)};
  GuestPages pages;
  ingest::Arrival& arrival = pages.arrival;
  arrival.pid = pid;
  arrival.pidfd = watch::OpenPidfd(pid);
  struct stat status {};
  if (fstat(process->Fd(), &status) == 0) arrival.uid = status.st_uid;
  auto refused = [&](const std::string& why) {
    pages.found = GuestPages::Found::kNotPermitted;
    pages.why = why;
    return std::move(pages);
  };
  auto numbers = process->Numbers("fd");
  if (!numbers)
    return refused("may not look into " + Named(pid) + ": it is another user's or protected; run leakhunt-collect as its user or as root");
  for (int fd : *numbers) {
    auto link = process->Link(("fd/" + std::to_string(fd)).c_str());
    if (!link || !link->starts_with(kPagesName)) continue;
    arrival.memfd = Duplicate(arrival.pidfd.Get(), pid, fd);
    if (!arrival.memfd.Valid())
      return refused(ErrnoError("cannot take the pages of " + Named(pid) + " (run as its user or as root)", errno).message);
    pages.found = GuestPages::Found::kPages;
    pages.flags = FlagsOf(arrival.memfd).value_or(0);
    return pages;
  }
  arrival.memfd = FindMapped(*process, pid);
  if (arrival.memfd.Valid()) {
    pages.found = GuestPages::Found::kPages;
    pages.flags = FlagsOf(arrival.memfd).value_or(0);
  }
  return pages;
}

}  // namespace leakhunt::attach
