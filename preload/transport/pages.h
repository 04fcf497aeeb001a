// The shared pages as the guest owns them: one sealed memfd, grown by extents, handed out in areas.
//
// Slow path only. One writer process: a forked child makes its own (core/process.cc) and afterwards only reads its
// parent's append-only areas. Nothing here blocks for long; every refusal is a null area, which callers turn into a
// counted loss or a higher sampling interval.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"
#include "preload/sys/atomic.h"
#include "preload/sys/spinlock.h"

namespace leakhunt::transport {

struct Area {
  uint8_t* start = nullptr;
  uint64_t file_offset = 0;
  uint32_t bytes = 0;
};

class Pages {
 public:
  // Makes the memfd with its first extent and a zeroed ProcessHeader. `generation`: of the owning process, for the
  // lock. `max_bytes`: bound of the whole file. False when the kernel refuses (no memfd, RLIMIT_FSIZE, no memory).
  bool Create(uint32_t generation, uint64_t max_bytes);

  // Asked before each growth whether that many more bytes may be touched (the cgroup's headroom); null: always.
  void SetGrowthCheck(bool (*may_grow)(uint64_t bytes)) { may_grow_ = may_grow; }

  // A zeroed area of 1..255 pages. Null `start` at the bound or on refusal.
  Area Allocate(protocol::AreaKind kind, uint32_t pages, uint32_t owner);

  // The 32-bit word at `address` of the program's memory, which another thread may be unmapping: the kernel reads it, and
  // says no. False: not readable, or the kernel may not be asked. One caller at a time. A system call or three.
  bool ReadWord(uint64_t address, uint32_t* word);

  protocol::ProcessHeader* Header() const { return header_; }
  int Descriptor() const { return fd_; }
  void ForgetDescriptor() { fd_ = -1; }
  void SetDescriptor(int fd) { fd_ = fd; }  // the same file under another number
  uint64_t FileBytes() const;

  // Address of a file offset inside a mapped extent; null when outside.
  uint8_t* At(uint64_t file_offset) const {
    uint64_t extent = file_offset / protocol::kExtentBytes;
    if (extent >= sys::LoadAcquire(&extents_)) return nullptr;  // partner: AddExtent
    return base_[extent] + file_offset % protocol::kExtentBytes;
  }

 private:
  bool DescriptorIsOurs() const;
  bool AddExtent();
  bool AddExtentDeeply();  // on a stack of leakhunt's own

  bool (*may_grow_)(uint64_t bytes) = nullptr;
  int fd_ = -1;
  uint64_t inode_ = 0;  // of the memfd
  uint32_t generation_ = 0;
  uint32_t max_extents_ = 0;
  uint32_t extents_ = 0;       // complete ones; release-stored, read by At
  uint32_t next_page_ = 0;     // in the last extent
  uint8_t** base_ = nullptr;   // [kMaxExtents], private, touched as used
  protocol::ProcessHeader* header_ = nullptr;
  sys::SpinLock lock_;
};

// Moves `fd` to a high number (just under 1,024 or the soft limit), close-on-exec, and closes the original. Returns
// the new number, or `fd` itself when no high one is free. The program's next open gets the number it would have had.
// Never returns 0, 1 or 2, to which the program may write: -1 when no other number is free, and `fd` is closed then.
int MoveHigh(int fd);

}  // namespace leakhunt::transport
