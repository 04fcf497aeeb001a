#include "preload/imports/redirection.h"

#include <sched.h>

#include "preload/imports/import_table.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/unwind/dynamic_symbol.h"
#include "preload/unwind/memory_maps.h"

extern "C" __attribute__((visibility("hidden"))) const ElfW(Ehdr) __ehdr_start;  // both by the linker; _DYNAMIC is in link.h
extern "C" __attribute__((visibility("hidden"))) const char _end[];

namespace leakhunt::imports {
namespace {

// In which order slots are led to the hooks.
enum class Turn : uint8_t { kEnds = 0, kMoves = 1, kBegins = 2 };
constexpr int kTurns = 3;

struct Binding {
  const char* name;  // null: a free place
  uint64_t hook, real;
  Turn turn;
};

constexpr uint32_t kPlaces = 1024;  // the library exports about 260 functions
constinit Binding* g_bindings = nullptr;
constinit uint32_t g_begun = 0, g_initialized = 0;  // g_initialized: g_bindings is whole
constinit Extent g_extent = Extent::kAll;
constinit uint32_t g_busy = 0;       // pid of the process that is changing tables now; a forked child's copy is void
constinit uint32_t g_unloading = 0;  // threads inside dlclose

bool IsOneOf(const char* name, const char* const* names) {
  for (; *names != nullptr; ++names) {
    if (sys::Equal(name, *names)) return true;
  }
  return false;
}

Turn TurnOf(const char* name) {
  static constexpr const char* kEnds[] = {
      "free", "cfree", "free_sized", "free_aligned_sized", "munmap", "shmdt", "close", "__close", "close_range",
      "closefrom", "mq_close", "sem_close", "fclose", "_IO_fclose", "pclose", "endmntent", "__endmntent", "closedir",
      "fts_close", "fts64_close", "pthread_join", "pthread_detach", "pthread_tryjoin_np", "pthread_timedjoin_np",
      "pthread_clockjoin_np", "thrd_join", "thrd_detach", "_exit", "_Exit", "vfork", "__vfork", "clone", "unshare", "dlclose", nullptr};
  static constexpr const char* kMoves[] = {"realloc", "reallocarray", "mremap", "dup2", "__dup2", "dup3", "fcntl", "fcntl64",
                                           "__fcntl", "freopen", "freopen64", "syscall", nullptr};
  if (sys::StartsWith(name, "_Zd") || IsOneOf(name, kEnds)) return Turn::kEnds;
  return IsOneOf(name, kMoves) ? Turn::kMoves : Turn::kBegins;
}

bool IsHeapFunction(const char* name) {
  static constexpr const char* kHeap[] = {
      "malloc", "free", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign", "valloc",
      "pvalloc", "cfree", "free_sized", "free_aligned_sized", "malloc_usable_size", "dlopen", "dlclose", nullptr};
  return sys::StartsWith(name, "_Zn") || sys::StartsWith(name, "_Zd") || IsOneOf(name, kHeap);
}

uint32_t PlaceOf(const char* name) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (; *name != 0; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 16777619u;
  return hash % kPlaces;
}

const Binding* Find(const char* name) {
  for (uint32_t place = PlaceOf(name);; place = (place + 1) % kPlaces) {
    const Binding& binding = g_bindings[place];
    if (binding.name == nullptr) return nullptr;
    if (sys::Equal(binding.name, name)) return &binding;
  }
}

void Enter(const char* name, uint64_t hook, uint64_t real) {
  if (real == 0 || real == hook) return;
  uint32_t place = PlaceOf(name);
  while (g_bindings[place].name != nullptr) place = (place + 1) % kPlaces;
  g_bindings[place] = Binding{name, hook, real, TurnOf(name)};
}

struct Collection {
  Extent extent;
  uint64_t (*find_real)(const char* name);
};

void EnterExport(void* context, const char* name, uint64_t address) {
  const auto* collection = static_cast<const Collection*>(context);
  if (sys::StartsWith(name, "leakhunt_") || sys::Equal(name, "dlopen")) return;
  if (collection->extent == Extent::kHeapOnly && !IsHeapFunction(name)) return;
  Enter(name, address, collection->find_real(name));
}

// The first object of the list an object is in: each namespace of dlmopen has its own, with a C library of its own.
const link_map* NamespaceOf(const unwind::LoadedObject& object) {
  const link_map* first = object.map;
  for (int i = 0; first != nullptr && first->l_prev != nullptr && i < 65'536; ++i) first = first->l_prev;
  return first;
}

// Calls visit(object) for every object in memory but this library, the vDSO and those of other namespaces.
template <typename Visit>
void ForEachObject(Visit visit) {
  unwind::LoadedObject own;
  if (!unwind::FindLoadedObject(reinterpret_cast<uint64_t>(&InOwnImage), &own)) return;
  const link_map* our_namespace = NamespaceOf(own);
  unwind::MapsReader maps;
  unwind::Mapping mapping;
  uint64_t done_until = 0;
  while (maps.Next(&mapping)) {
    if (!mapping.executable || mapping.inode == 0 || mapping.start < done_until) continue;
    unwind::LoadedObject object;
    if (!unwind::FindLoadedObject(mapping.start, &object)) continue;
    done_until = object.end;
    bool described = object.headers != nullptr || object.dynamic != nullptr;
    if (described && !InOwnImage(mapping.start) && NamespaceOf(object) == our_namespace) visit(object);
  }
}

// A slot that holds `from`; or, on the way to the hooks, one that is not bound yet and leads into the object's own
// linkage table. (What is bound to the object's own definition stays so.) Beside objects that were bound deeply, what is not
// bound yet is left alone: it may come to lead to a definition before the hooks, or to one of the object's own libraries.
bool Holds(const Import& import, uint64_t from, bool to_hooks, const unwind::LoadedObject& object) {
  uint64_t value = sys::LoadRelaxed(import.slot);
  const bool from_deep = to_hooks && g_extent == Extent::kDeepBound;
  if (value == from) return !from_deep || value != import.own;
  return to_hooks && !from_deep && value != import.own && value >= object.start && value < object.end;
}

// A slot that the loader has yet to fill: it leads into the object's own linkage table, or holds what stands in the file.
bool IsUnbound(uint64_t value, const Import& import, const unwind::LoadedObject& object) {
  const auto inside = [&](uint64_t address) { return address >= object.start && address < object.end; };
  return value == 0 || (value != import.own && (inside(value) || inside(value + object.bias)));
}

// Objects that may be led to what begins blocks: all that end them were bound when their turn came, and lead to the hooks. Of
// an object that came between two turns, or was being bound meanwhile, allocations would be seen and their frees would not.
class Followed {
 public:
  void Begin() {
    if (identities_ == nullptr) identities_ = static_cast<uint64_t*>(sys::MapPrivate(kMost * sizeof(uint64_t)));
    count_ = 0;
  }
  void Add(const unwind::LoadedObject& object) {
    if (identities_ != nullptr && count_ < kMost) identities_[count_++] = IdentityOf(object);
  }
  void Remove(const unwind::LoadedObject& object) {
    if (uint64_t* at = Find(object); at != nullptr) *at = 0;
  }
  bool Has(const unwind::LoadedObject& object) { return Find(object) != nullptr; }

 private:
  static constexpr uint32_t kMost = 4096;

  static uint64_t IdentityOf(const unwind::LoadedObject& object) { return object.identity ^ object.start; }
  uint64_t* Find(const unwind::LoadedObject& object) {
    for (uint32_t i = 0; i < count_; ++i) {
      if (identities_[i] == IdentityOf(object)) return &identities_[i];
    }
    return nullptr;
  }

  uint64_t* identities_ = nullptr;
  uint32_t count_ = 0;
};
constinit Followed g_followed;  // of whoever holds g_busy

// `*all_bound`: false where a slot of this turn is still to be filled.
uint32_t ChangeObject(const unwind::LoadedObject& object, Turn turn, bool to_hooks, bool* all_bound) {
  ImportTable table(object);
  uint32_t changed = 0;
  *all_bound = true;
  ImportTable::Writable writable(table);
  table.ForEach([&](const Import& import) {
    const Binding* binding = Find(import.name);
    if (binding == nullptr || binding->turn != turn) return;
    uint64_t from = to_hooks ? binding->real : binding->hook;
    if (Holds(import, from, to_hooks, object) && writable.Covers(import.slot)) {
      sys::StoreRelease(import.slot, to_hooks ? binding->hook : binding->real);
      ++changed;
    }
    if (IsUnbound(sys::LoadRelaxed(import.slot), import, object)) *all_bound = false;
  });
  return changed;
}

uint32_t LeadToHooks(const unwind::LoadedObject& object, Turn turn) {
  if (turn != Turn::kEnds && !g_followed.Has(object)) return 0;
  bool all_bound = false;
  const uint32_t changed = ChangeObject(object, turn, true, &all_bound);
  if (turn == Turn::kEnds && all_bound) g_followed.Add(object);
  if (turn == Turn::kMoves && !all_bound) g_followed.Remove(object);
  return changed;
}

uint32_t LeadBack(const unwind::LoadedObject& object, Turn turn) {
  bool ignored = false;
  return ChangeObject(object, turn, false, &ignored);
}

Redirection Redirect(bool to_hooks) {
  Redirection result;
  uint32_t pid = static_cast<uint32_t>(sys::GetPid());
  uint32_t seen = sys::LoadRelaxed(&g_busy);
  if (!IsInitialized() || seen == pid || !sys::CompareExchange(&g_busy, seen, pid)) return result;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);  // partner: UnloadBegins
  if (__atomic_load_n(&g_unloading, __ATOMIC_SEQ_CST) == 0) {
    g_followed.Begin();
    for (int i = 0; i < kTurns; ++i) {
      Turn turn = static_cast<Turn>(to_hooks ? i : kTurns - 1 - i);
      ForEachObject([&](const unwind::LoadedObject& object) {
        result.changed += to_hooks ? LeadToHooks(object, turn) : LeadBack(object, turn);
      });
    }
    result.done = true;
  }
  sys::StoreRelease(&g_busy, 0u);
  return result;
}

}  // namespace

bool InOwnImage(uint64_t address) {
  return address >= reinterpret_cast<uint64_t>(&__ehdr_start) && address < reinterpret_cast<uint64_t>(_end);
}

bool IsInitialized() { return sys::LoadAcquire(&g_initialized) != 0; }

void InitializeRedirection(Extent extent, uint64_t (*find_real)(const char* name), uint64_t dlopen_hook) {
  if (!sys::CompareExchange(&g_begun, 0u, 1u)) return;
  auto* bindings = static_cast<Binding*>(sys::MapPrivate(kPlaces * sizeof(Binding)));
  if (bindings == nullptr) return;
  g_bindings = bindings;
  g_extent = extent;
  Collection collection{extent, find_real};
  unwind::ForEachDynamicFunction(reinterpret_cast<uint64_t>(&__ehdr_start), _DYNAMIC, EnterExport, &collection);
  Enter("dlopen", dlopen_hook, find_real("dlopen"));
  sys::StoreRelease(&g_initialized, 1u);  // partner: IsInitialized
}

Redirection RedirectToHooks() { return Redirect(true); }
Redirection RedirectBack() { return Redirect(false); }

void UnloadBegins() {
  __atomic_fetch_add(&g_unloading, 1u, __ATOMIC_SEQ_CST);
  uint32_t pid = 0;
  for (int i = 0; i < 10'000; ++i) {
    uint32_t busy = __atomic_load_n(&g_busy, __ATOMIC_SEQ_CST);
    if (busy == 0) return;
    if (pid == 0) pid = static_cast<uint32_t>(sys::GetPid());
    if (busy != pid) return;
    sys::Call(SYS_sched_yield);
  }
}

void UnloadEnds() { __atomic_fetch_sub(&g_unloading, 1u, __ATOMIC_SEQ_CST); }

}  // namespace leakhunt::imports
