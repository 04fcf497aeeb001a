#include "collector/ledger/page_directory.h"

#include <algorithm>

namespace leakhunt::ledger {

namespace {

// One area a 4 KiB page of a 4 GiB recording. More is nothing a guest writes, and would only cost memory.
constexpr uint64_t kMaxAreas = uint64_t{1} << 20;

}  // namespace

PageDirectory PageDirectory::Read(const PageFile& file, uint32_t extents) {
  PageDirectory directory;
  const uint64_t present = (file.size_bytes() + protocol::kExtentBytes - 1) / protocol::kExtentBytes;
  const uint64_t readable = std::min<uint64_t>({extents, present, protocol::kMaxExtents});
  directory.refused_ += std::min<uint64_t>(extents, protocol::kMaxExtents) - readable;
  for (uint64_t extent = 0; extent < readable; ++extent) directory.ReadExtent(file, extent);
  return directory;
}

void PageDirectory::ReadExtent(const PageFile& file, uint64_t extent) {
  protocol::ExtentHeader header;
  const uint64_t start = extent * protocol::kExtentBytes;
  if (!file.Read(start, &header, sizeof(header)) || header.magic != protocol::kExtentMagic || header.index != extent) {
    ++refused_;
    return;
  }
  uint32_t page = 1;
  while (page < protocol::kPagesPerExtent) {
    const protocol::PageDescriptor& descriptor = header.pages[page - 1];
    const auto kind = static_cast<size_t>(protocol::DescriptorKind(descriptor.word0));
    const uint32_t pages = protocol::DescriptorPages(descriptor.word0);
    if (kind == static_cast<size_t>(protocol::AreaKind::kFree)) {
      ++page;
      continue;
    }
    const Area area{start + page * protocol::kPageBytes, static_cast<uint32_t>(pages * protocol::kPageBytes),
                    descriptor.owner};
    const bool inside = pages > 0 && page + pages <= protocol::kPagesPerExtent &&
                        area.offset + area.bytes <= file.size_bytes() && count_ < kMaxAreas;
    if (!inside) {
      ++refused_;
      ++page;
      continue;
    }
    if (kind < kKinds) {
      areas_[kind].push_back(area);
      ++count_;
    }
    page += pages;
  }
}

std::span<const Area> PageDirectory::Areas(protocol::AreaKind kind) const {
  return areas_[static_cast<size_t>(kind) & (kKinds - 1)];
}

}  // namespace leakhunt::ledger
