#include "collector/ledger/handle_reconciler.h"

#include <algorithm>

namespace leakhunt::ledger {

namespace {

using snapshot::HandleType;

// What kinds of thing cannot turn into each other by looking closer.
enum class Nature : uint8_t { kAny, kPath, kPipe, kSocket, kAnonymous };

Nature NatureOf(HandleType type) {
  switch (type) {
    case HandleType::kFile:
    case HandleType::kDirectory:
    case HandleType::kPty:
    case HandleType::kDevice:
    case HandleType::kMemfd:
      return Nature::kPath;
    case HandleType::kPipe:
      return Nature::kPipe;
    case HandleType::kTcp:
    case HandleType::kUdp:
    case HandleType::kUnix:
    case HandleType::kNetlink:
    case HandleType::kSocket:
      return Nature::kSocket;
    case HandleType::kOther:
      return Nature::kAny;
    default:
      return Nature::kAnonymous;
  }
}

// A path may lead to a FIFO; nothing else changes its nature.
bool Contradicts(HandleType recorded, HandleType kernel) {
  const Nature was = NatureOf(recorded), is = NatureOf(kernel);
  if (was == Nature::kAny || is == Nature::kAny || was == is) return false;
  return !(was == Nature::kPath && is == Nature::kPipe);
}

bool IsBelow(std::string_view path, std::string_view directory) { return path.starts_with(directory); }

// Devices by their names, and what /proc leads to them by.
bool MayLeadAnywhere(std::string_view path) {
  return path.empty() || path[0] != '/' || IsBelow(path, "/proc/") || IsBelow(path, "/dev/std") || IsBelow(path, "/dev/fd/");
}

// Whether the path that was opened cannot lead to what is open now. A link may lead from any path to a file or a directory
// anywhere, so only what is at home in one place counts: a device is not what a path outside of /dev names. (A link to one, as
// services are masked by, is taken for another thing: then it is shown without a call site.)
bool ContradictsPath(const RecordedHandle& handle, const KernelHandle& entry) {
  const std::string& link = entry.link.empty() ? entry.label : entry.link;
  if (MayLeadAnywhere(handle.label) || link.empty() || link[0] != '/') return false;
  const bool opened_device = IsBelow(handle.label, "/dev/") && !IsBelow(handle.label, "/dev/shm/");
  const bool is_device = entry.type == HandleType::kDevice || entry.type == HandleType::kPty;
  if (handle.type == HandleType::kFile || handle.type == HandleType::kDevice || handle.type == HandleType::kPty)
    return opened_device ? !is_device && !IsBelow(link, "/dev/") : is_device && IsBelow(link, "/dev/");
  // The call said directory, and the kernel was asked.
  return handle.type == HandleType::kDirectory && entry.inode != 0 && entry.type != HandleType::kDirectory;
}

bool IsOurs(const KernelHandle& entry) {
  return entry.link.starts_with("/memfd:leakhunt") || entry.label.starts_with("/memfd:leakhunt");
}

uint64_t UnexplainedKey(const KernelHandle& entry) {
  return (entry.inode * 0x9E37'79B9'7F4A'7C15ull) ^ static_cast<uint64_t>(entry.fd);
}

bool MoreSpecific(HandleType kernel, HandleType recorded) {
  if (kernel == HandleType::kOther) return false;
  return kernel != HandleType::kSocket || NatureOf(recorded) != Nature::kSocket;
}

}  // namespace

struct HandleReconciler::Pass {
  Evidence evidence;
  bool injected;
  const HandleSighting* seen;
  KeyIndex kernel_fds;  // numbered as in the kernel's list
  const std::vector<KernelHandle>* kernel;
  KeyIndex inherited_fds;
  std::vector<uint32_t> inherited_at;  // place in seen->inherited
  NumberSet claimed_fds;               // a recorded handle stands for them
  NumberSet replaced_fds;              // their record was given up
  NumberSet missing, vanished, contradicted, replaced, unexplained;
  KeyIndex refined;
  std::vector<Refinement> refinements;
  Reconciled result;

  bool HasList() const { return evidence == Evidence::kKernel || evidence == Evidence::kExitList; }
  bool Final() const { return evidence == Evidence::kFinal || evidence == Evidence::kExitList; }
  const KernelHandle* Entry(int fd) const {
    const uint32_t at = kernel_fds.Find(static_cast<uint64_t>(fd));
    return at == KeyIndex::kAbsent ? nullptr : &(*kernel)[at];
  }

  // Whether `entry` is what the image found open under this number. A guest that could not list them says nothing.
  bool Inherited(const KernelHandle& entry) const {
    if (seen->inherited.empty()) return entry.fd <= 2;
    const uint32_t at = inherited_fds.Find(static_cast<uint64_t>(entry.fd));
    if (at == KeyIndex::kAbsent) return false;
    const RecordedHandle& then = seen->inherited[inherited_at[at]];
    return then.inode != 0 && entry.inode != 0 ? then.inode == entry.inode : !Contradicts(then.type, entry.type);
  }
};

Reconciled HandleReconciler::Reconcile(HandleSighting seen, const std::vector<KernelHandle>& kernel, Evidence evidence,
                                       bool injected) {
  std::vector<RecordedHandle> live = std::move(seen.live);
  std::stable_sort(live.begin(), live.end(),
                   [](const RecordedHandle& a, const RecordedHandle& b) { return a.birth_tick < b.birth_tick; });
  std::vector<KernelHandle> entries;
  Pass pass{};
  pass.evidence = evidence;
  pass.injected = injected;
  pass.seen = &seen;
  for (const KernelHandle& entry : kernel) {
    const bool first = entry.fd >= 0 && pass.kernel_fds.Find(static_cast<uint64_t>(entry.fd)) == KeyIndex::kAbsent;
    if (!first) continue;
    pass.kernel_fds.FindOrAdd(static_cast<uint64_t>(entry.fd));
    entries.push_back(entry);
  }
  pass.kernel = &entries;
  for (uint32_t i = 0; i < seen.inherited.size(); ++i) {
    const uint32_t at = pass.inherited_fds.FindOrAdd(static_cast<uint64_t>(seen.inherited[i].fd));
    if (at == pass.inherited_at.size()) pass.inherited_at.push_back(i);
  }
  KeyIndex newest_fds;
  std::vector<uint64_t> newest_ids;
  for (const RecordedHandle& handle : live) {
    const uint32_t at = newest_fds.FindOrAdd(static_cast<uint64_t>(handle.fd));
    if (at == newest_ids.size()) newest_ids.emplace_back();
    newest_ids[at] = handle.id;
  }
  for (RecordedHandle& handle : live) {
    const bool newest = newest_ids[newest_fds.Find(static_cast<uint64_t>(handle.fd))] == handle.id;
    Judge(std::move(handle), newest, &pass);
  }
  if (pass.HasList()) {
    FindUntracked(entries, &pass);
  } else {
    CarryOver(&pass);
  }
  missing_ = std::move(pass.missing);
  vanished_ = std::move(pass.vanished);
  contradicted_ = std::move(pass.contradicted);
  replaced_ = std::move(pass.replaced);
  unexplained_ = std::move(pass.unexplained);
  refined_ = std::move(pass.refined);
  refinements_ = std::move(pass.refinements);
  last_untracked_ = pass.result.untracked;
  had_kernel_ = had_kernel_ || pass.HasList();
  pass.result.vanished = vanished_count_;
  return std::move(pass.result);
}

void HandleReconciler::Judge(RecordedHandle handle, bool newest, Pass* pass) {
  const KernelHandle* entry = pass->HasList() ? pass->Entry(handle.fd) : nullptr;
  const bool missing = !newest || (pass->HasList() && entry == nullptr);
  const bool contradicted = !missing && entry != nullptr && IsAnother(handle, *entry);
  if (vanished_.Has(handle.id) || (missing && (pass->Final() || missing_.Has(handle.id)))) {
    if (!vanished_.Has(handle.id)) ++vanished_count_;
    pass->vanished.Add(handle.id);
    pass->replaced_fds.Add(static_cast<uint64_t>(handle.fd));
    pass->result.closed_unseen.push_back(handle.stack);
    return;
  }
  if (replaced_.Has(handle.id) || (contradicted && (pass->Final() || contradicted_.Has(handle.id)))) {
    pass->replaced.Add(handle.id);
    pass->replaced_fds.Add(static_cast<uint64_t>(handle.fd));
    pass->result.closed_unseen.push_back(handle.stack);
    return;
  }
  if (missing) pass->missing.Add(handle.id);
  if (contradicted) pass->contradicted.Add(handle.id);
  pass->claimed_fds.Add(static_cast<uint64_t>(handle.fd));
  Refine(contradicted ? nullptr : entry, pass->evidence, &handle);
  Remember(handle, contradicted ? nullptr : entry, pass);
  pass->result.open.push_back(std::move(handle));
}

// Whether what is open now cannot be what was opened: by its nature, by its path, or because the same number held another inode
// at an earlier capture.
bool HandleReconciler::IsAnother(const RecordedHandle& handle, const KernelHandle& entry) const {
  if (Contradicts(handle.type, entry.type)) return true;
  const uint32_t known = refined_.Find(handle.id);
  const uint64_t then = known == KeyIndex::kAbsent ? 0 : refinements_[known].inode;
  if (then == 0 || entry.inode == 0) return ContradictsPath(handle, entry);
  return then != entry.inode;
}

// The kernel's word on a live process is the best there is; what an earlier capture learned from it outlives the
// process; the record's own label comes next, and the bare link the guest read at its end last.
void HandleReconciler::Refine(const KernelHandle* entry, Evidence evidence, RecordedHandle* handle) const {
  const uint32_t known = refined_.Find(handle->id);
  if (known != KeyIndex::kAbsent) {
    handle->type = refinements_[known].type;
    if (!refinements_[known].label.empty()) handle->label = refinements_[known].label;
  }
  if (entry == nullptr) return;
  if (MoreSpecific(entry->type, handle->type)) handle->type = entry->type;
  const std::string& text = entry->label.empty() ? entry->link : entry->label;
  if (handle->label.empty() || (evidence == Evidence::kKernel && !entry->label.empty())) handle->label = text;
}

void HandleReconciler::Remember(const RecordedHandle& handle, const KernelHandle* entry, Pass* pass) {
  const uint32_t known = refined_.Find(handle.id);
  if (pass->evidence != Evidence::kKernel && known == KeyIndex::kAbsent) return;
  uint64_t inode = known == KeyIndex::kAbsent ? 0 : refinements_[known].inode;
  if (inode == 0 && entry != nullptr && pass->evidence == Evidence::kKernel) inode = entry->inode;
  if (pass->refined.FindOrAdd(handle.id) == pass->refinements.size()) {
    pass->refinements.push_back({handle.type, handle.label, inode});
  }
}

void HandleReconciler::FindUntracked(const std::vector<KernelHandle>& kernel, Pass* pass) {
  for (const KernelHandle& entry : kernel) {
    const auto fd = static_cast<uint64_t>(entry.fd);
    if (pass->claimed_fds.Has(fd) || pass->seen->own_fds.Has(fd) || IsOurs(entry)) continue;
    AddUntracked(entry, pass);
  }
}

void HandleReconciler::AddUntracked(const KernelHandle& entry, Pass* pass) {
  const auto fd = static_cast<uint64_t>(entry.fd);
  snapshot::UntrackedHandle row;
  row.fd = entry.fd;
  row.type = entry.type;
  row.label = entry.label.empty() ? entry.link : entry.label;
  row.inherited = pass->Inherited(entry);
  if (!row.inherited) {
    // The guest has seen this number closed: the list may simply be older than that close.
    pass->unexplained.Add(UnexplainedKey(entry));
    const bool may_be_closed = pass->seen->closed_fds.Has(fd) && !pass->replaced_fds.Has(fd);
    if (may_be_closed && !pass->Final() && !unexplained_.Has(UnexplainedKey(entry))) return;
    if (pass->replaced_fds.Has(fd)) {
      row.reason = "raw syscall";
    } else if (pass->injected) {
      row.reason = "before attach";
    }
  }
  pass->result.untracked.push_back(std::move(row));
}

// Without a list: what was open without a record when there was one, else what was inherited and not seen closing.
void HandleReconciler::CarryOver(Pass* pass) {
  if (had_kernel_) {
    for (const snapshot::UntrackedHandle& row : last_untracked_) {
      if (!pass->claimed_fds.Has(static_cast<uint64_t>(row.fd))) pass->result.untracked.push_back(row);
    }
    return;
  }
  for (const RecordedHandle& handle : pass->seen->inherited) {
    if (pass->claimed_fds.Has(static_cast<uint64_t>(handle.fd))) continue;
    pass->result.untracked.push_back({handle.fd, handle.type, handle.label, true, ""});
  }
}

}  // namespace leakhunt::ledger
