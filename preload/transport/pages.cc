#include "preload/transport/pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"

namespace leakhunt::transport {
namespace {

using protocol::kExtentBytes;
using protocol::kPageBytes;

constexpr uint32_t kHeaderPages = 2;
constexpr int kAddSeals = 1033;                     // F_ADD_SEALS
constexpr int kSealShrink = 2, kSealSeal = 1;
constexpr unsigned kMemfdCloexec = 1, kMemfdAllowSealing = 2;

// Growing a file past RLIMIT_FSIZE raises SIGXFSZ, which kills: look first.
bool FileSizeAllowed(uint64_t bytes) {
  rlimit limit{};
  long result = sys::Call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, sys::Word(&limit));
  return !sys::Failed(result) && (limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur);
}

uint64_t InodeOf(int fd) {
  struct stat status {};
  return sys::Failed(sys::Call(SYS_fstat, fd, sys::Word(&status))) ? 0 : status.st_ino;
}

}  // namespace

int MoveHigh(int fd) {
  rlimit limit{};
  sys::Call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, sys::Word(&limit));
  // Under 1,024 even when the limit is higher: a descriptor of 500,000 makes every fork copy a table of that size.
  uint64_t top = limit.rlim_cur < 1024 ? limit.rlim_cur : 1024;
  const uint64_t below = top < 32 ? 2 : 16;  // where there are few, ours are the last two
  long high = top < 2 * below ? -1 : sys::Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, static_cast<long>(top - below));
  if (sys::Failed(high) && fd > 2) return fd;
  if (sys::Failed(high)) high = sys::Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
  sys::Close(fd);
  return sys::Failed(high) ? -1 : static_cast<int>(high);
}

bool Pages::Create(uint32_t generation, uint64_t max_bytes) {
  generation_ = generation;
  uint64_t wanted = max_bytes / kExtentBytes;
  max_extents_ = static_cast<uint32_t>(wanted < 2 ? 2 : wanted > protocol::kMaxExtents ? protocol::kMaxExtents : wanted);
  base_ = static_cast<uint8_t**>(sys::MapPrivate(sizeof(uint8_t*) * protocol::kMaxExtents));
  if (base_ == nullptr) return false;
  long fd = sys::Call(SYS_memfd_create, sys::Word("leakhunt"), kMemfdCloexec | kMemfdAllowSealing);
  if (sys::Failed(fd)) return false;
  fd_ = MoveHigh(static_cast<int>(fd));
  inode_ = InodeOf(fd_);
  sys::Call(SYS_fcntl, fd_, kAddSeals, kSealShrink | kSealSeal);
  if (!AddExtent()) return false;
  auto* extent = reinterpret_cast<protocol::ExtentHeader*>(base_[0]);
  extent->pages[0].word0 = protocol::PackDescriptor(protocol::AreaKind::kProcess, kHeaderPages);
  next_page_ = 1 + kHeaderPages;
  header_ = reinterpret_cast<protocol::ProcessHeader*>(base_[0] + kPageBytes);
  header_->extents = 1;
  return true;
}

// A thread with descriptors of its own may have a file of the program's under the number.
bool Pages::DescriptorIsOurs() const { return fd_ >= 0 && (inode_ == 0 || InodeOf(fd_) == inode_); }

bool Pages::ReadWord(uint64_t address, uint32_t* word) {
  const uint64_t offset = kPageBytes + offsetof(protocol::ProcessHeader, scratch);
  if (!FileSizeAllowed(offset + sizeof(*word)) || !DescriptorIsOurs()) return false;
  const long written = sys::Call(SYS_pwrite64, fd_, static_cast<long>(address), sizeof(*word), static_cast<long>(offset));
  if (written != sizeof(*word)) return false;
  *word = sys::LoadRelaxed(reinterpret_cast<uint32_t*>(&header_->scratch));
  return true;
}

bool Pages::AddExtent() {
  bool added = false;
  return sys::OnOwnStack([&] { added = AddExtentDeeply(); }) && added;
}

bool Pages::AddExtentDeeply() {
  if (extents_ >= max_extents_ || fd_ < 0) return false;
  uint64_t bytes = (uint64_t{extents_} + 1) * kExtentBytes;
  if (!FileSizeAllowed(bytes)) return false;
  if (may_grow_ != nullptr && !may_grow_(kExtentBytes)) return false;
  if (!DescriptorIsOurs()) return false;
  if (sys::Failed(sys::Call(SYS_ftruncate, fd_, static_cast<long>(bytes)))) return false;
  long mapped = sys::Call(SYS_mmap, 0, kExtentBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                          static_cast<long>(bytes - kExtentBytes));
  if (sys::Failed(mapped)) return false;
  sys::Call(SYS_madvise, mapped, kExtentBytes, MADV_DONTDUMP);
  base_[extents_] = reinterpret_cast<uint8_t*>(mapped);
  auto* extent = reinterpret_cast<protocol::ExtentHeader*>(mapped);
  extent->index = extents_;
  sys::StoreRelease(&extent->magic, protocol::kExtentMagic);
  next_page_ = 1;
  sys::StoreRelease(&extents_, extents_ + 1);  // partner: At
  if (header_ != nullptr) sys::StoreRelease(&header_->extents, extents_);  // partner: the collector's directory walk
  return true;
}

Area Pages::Allocate(protocol::AreaKind kind, uint32_t pages, uint32_t owner) {
  Area area;
  if (!lock_.Acquire(generation_)) return area;
  // What is left of an extent that cannot hold the area is given up; areas are small against an extent.
  if (next_page_ + pages <= protocol::kPagesPerExtent || AddExtent()) {
    uint32_t extent_index = extents_ - 1;
    auto* extent = reinterpret_cast<protocol::ExtentHeader*>(base_[extent_index]);
    area.start = base_[extent_index] + next_page_ * kPageBytes;
    area.file_offset = extent_index * kExtentBytes + next_page_ * kPageBytes;
    area.bytes = pages * static_cast<uint32_t>(kPageBytes);
    protocol::PageDescriptor* descriptor = &extent->pages[next_page_ - 1];
    descriptor->owner = owner;
    sys::StoreRelease(&descriptor->word0, protocol::PackDescriptor(kind, pages));  // partner: the directory walk
    next_page_ += pages;
  }
  lock_.Release();
  return area;
}

uint64_t Pages::FileBytes() const { return uint64_t{sys::LoadAcquire(&extents_)} * kExtentBytes; }

}  // namespace leakhunt::transport
