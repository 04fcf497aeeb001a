#include "preload/core/scopes.h"

#include "preload/core/process.h"
#include "preload/core/thread_state.h"
#include "preload/sys/text.h"

namespace leakhunt::core {
namespace {

using protocol::ScopeRecord;

constexpr uint32_t kPerPage = 4096 / sizeof(ScopeRecord);
constexpr uint32_t kMaxScopes = 4095;  // 12 bits in a record

struct Scopes {
  sys::SpinLock lock;
  ScopeRecord* pages[kMaxScopes / kPerPage + 1] = {};
  uint32_t count = 0;
};
constinit Scopes g_scopes;

bool SameName(const ScopeRecord& record, const char* name) {
  uint32_t i = 0;
  for (; i + 1 < sizeof(record.name) && name[i] != 0; ++i) {
    if (record.name[i] != name[i]) return false;
  }
  return record.name[i] == 0;
}

// 1..4095; 0 at the bound.
uint32_t ScopeIndex(const char* name) {
  if (!g_scopes.lock.Acquire(g_process.generation)) return 0;
  uint32_t index = 0;
  for (uint32_t i = 0; i < g_scopes.count && index == 0; ++i) {
    if (SameName(g_scopes.pages[i / kPerPage][i % kPerPage], name)) index = i + 1;
  }
  if (index == 0 && g_scopes.count < kMaxScopes) {
    ScopeRecord*& page = g_scopes.pages[g_scopes.count / kPerPage];
    if (page == nullptr) {
      page = reinterpret_cast<ScopeRecord*>(g_process.pages->Allocate(protocol::AreaKind::kScopes, 1, 0).start);
    }
    if (page != nullptr) {
      ScopeRecord& record = page[g_scopes.count % kPerPage];
      sys::CopyText(record.name, sizeof(record.name), name);
      index = ++g_scopes.count;
      sys::StoreRelease(&record.index, index);  // partner: the collector's scope table
    }
  }
  g_scopes.lock.Release();
  return index;
}

}  // namespace

void ScopeBegin(const char* name) {
  if (name == nullptr || !Enter()) return;
  if (ThreadState* state = EnsureThreadState(); state != nullptr) {
    uint32_t depth = state->scope_depth++;
    if (depth < kScopeDepth) {
      state->outer_scopes[depth] = t_local.scope;
      t_local.scope = static_cast<uint16_t>(ScopeIndex(name));
    }
  }
  Leave();
}

void ScopeEnd() {
  if (!Enter()) return;
  if (ThreadState* state = EnsureThreadState(); state != nullptr && state->scope_depth > 0) {
    uint32_t depth = --state->scope_depth;
    if (depth < kScopeDepth) t_local.scope = state->outer_scopes[depth];
  }
  Leave();
}

void ForgetScopes() { g_scopes = Scopes(); }

}  // namespace leakhunt::core
