// Parser of /proc/thread-self/maps and the PROCMAP_QUERY request (linux/fs.h, since 6.11) behind memory_maps.h.
#include "preload/unwind/memory_maps.h"

#include <fcntl.h>

#include "preload/sys/syscall.h"

namespace leakhunt::unwind {
namespace {

// struct procmap_query of the kernel's ABI, spelled out: headers older than 6.11 lack it.
struct MapQuery {
  uint64_t size, flags, address;
  uint64_t vma_start, vma_end, vma_flags, vma_page_bytes, vma_offset, inode;
  uint32_t device_major, device_minor, name_bytes, build_id_bytes;
  uint64_t name_address, build_id_address;
};
static_assert(sizeof(MapQuery) == 104);
constexpr long kMapQueryRequest = (3L << 30) | (long{sizeof(MapQuery)} << 16) | ('f' << 8) | 17;
enum MapQueryFlags : uint64_t { kReadable = 1, kWritable = 2, kExecutable = 4 };

bool Query(int fd, uint64_t address, Mapping* mapping) {
  MapQuery query{};
  query.size = sizeof(query);
  query.address = address;
  query.name_bytes = sizeof(mapping->path);
  query.name_address = reinterpret_cast<uint64_t>(mapping->path);
  if (sys::Failed(sys::Call(SYS_ioctl, fd, kMapQueryRequest, sys::Word(&query)))) return false;
  mapping->start = query.vma_start;
  mapping->end = query.vma_end;
  mapping->offset = query.vma_offset;
  mapping->device = static_cast<uint64_t>(query.device_major) << 32 | query.device_minor;
  mapping->inode = query.inode;
  mapping->readable = query.vma_flags & kReadable;
  mapping->writable = query.vma_flags & kWritable;
  mapping->executable = query.vma_flags & kExecutable;
  if (query.name_bytes == 0) mapping->path[0] = 0;
  return true;
}

}  // namespace

MapsReader::MapsReader() : fd_(static_cast<int>(sys::Open(sys::kOwnMaps, O_RDONLY | O_CLOEXEC))) {}

MapsReader::~MapsReader() {
  if (fd_ >= 0) sys::Close(fd_);
}

int MapsReader::Get() {
  if (at_ == size_) {
    if (fd_ < 0) return -1;
    long bytes = sys::Read(fd_, buffer_, sizeof(buffer_));
    if (sys::Failed(bytes) || bytes == 0) return -1;
    size_ = static_cast<uint32_t>(bytes);
    at_ = 0;
  }
  return static_cast<unsigned char>(buffer_[at_++]);
}

uint64_t MapsReader::Number(unsigned base, int* terminator) {
  uint64_t value = 0;
  for (;;) {
    int c = Get();
    unsigned digit = c >= '0' && c <= '9' ? static_cast<unsigned>(c - '0')
                     : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                            : 99;
    if (digit >= base) return *terminator = c, value;
    value = value * base + digit;
  }
}

bool MapsReader::Next(Mapping* mapping) {
  int c = 0;
  mapping->start = Number(16, &c);
  if (c != '-') return false;
  mapping->end = Number(16, &c);
  mapping->readable = Get() == 'r';
  mapping->writable = Get() == 'w';
  mapping->executable = Get() == 'x';
  Get();  // p or s
  Get();
  mapping->offset = Number(16, &c);
  mapping->device = Number(16, &c) << 32;
  mapping->device |= Number(16, &c);
  mapping->inode = Number(10, &c);
  while (c == ' ') c = Get();
  uint32_t used = 0;
  for (; c >= 0 && c != '\n'; c = Get()) {
    if (used + 1 < sizeof(mapping->path)) mapping->path[used++] = static_cast<char>(c);
  }
  mapping->path[used] = 0;
  return true;
}

bool FindMapping(uint64_t address, Mapping* mapping) {
  long fd = sys::Open(sys::kOwnMaps, O_RDONLY | O_CLOEXEC);
  if (sys::Failed(fd)) return false;
  bool found = Query(static_cast<int>(fd), address, mapping);
  sys::Close(static_cast<int>(fd));
  if (found) return true;
  MapsReader reader;
  while (reader.Next(mapping)) {
    if (address < mapping->start) return false;
    if (address < mapping->end) return true;
  }
  return false;
}

}  // namespace leakhunt::unwind
