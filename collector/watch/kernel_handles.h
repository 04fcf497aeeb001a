// What descriptors the kernel holds open for a process: number, type, label.
//
// The oracle beside the guest's own account. Read for snapshots only: one readlink and one statx (which never waits
// for a remote file system) a descriptor, and the socket tables once. leakhunt's own descriptors are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "collector/ledger/ledger.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

struct KernelHandles {
  std::vector<ledger::KernelHandle> handles;
  uint64_t own = 0;  // descriptors of leakhunt that were left out
};

// `own_socket_inode`: the guest's connection to the collector (PeerSocketInode), 0 = none. Nothing when the process's
// descriptors may not be read or the process is gone.
std::optional<KernelHandles> ReadKernelHandles(const ProcDirectory& process, uint64_t own_socket_inode);

// Type by the text of /proc/PID/fd/N alone; kFile for a path, whatever it leads to.
snapshot::HandleType TypeOfLink(std::string_view link);

}  // namespace leakhunt::watch
