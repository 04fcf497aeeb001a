// What leakhunt.h calls: the program's own marks on the recording.
#include "preload/core/process.h"
#include "preload/core/scopes.h"
#include "preload/core/thread_state.h"
#include "preload/hooks/hook.h"
#include "preload/transport/connection.h"

using namespace leakhunt;

LEAKHUNT_HOOK void leakhunt_v1_snapshot(const char* label) {
  if (!core::Enter()) return;
  transport::Tell(protocol::MessageKind::kSnapshot, 0, 0, label);
  core::Leave();
}

LEAKHUNT_HOOK void leakhunt_v1_scope_begin(const char* name) { core::ScopeBegin(name); }
LEAKHUNT_HOOK void leakhunt_v1_scope_end() { core::ScopeEnd(); }

// Frees stay recorded: a block from before the pause that dies in it would otherwise look leaked.
LEAKHUNT_HOOK void leakhunt_v1_pause() { ++core::t_local.paused; }
LEAKHUNT_HOOK void leakhunt_v1_resume() {
  if (core::t_local.paused > 0) --core::t_local.paused;
}
