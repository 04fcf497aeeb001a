// What a process holds: blocks and descriptors, made by functions called Keep..., and their count.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>

#include "actor.h"

namespace random_program {
namespace {

uint64_t g_blocks, g_bytes, g_descriptors;  // of the process, whoever made them

void Count(uint64_t* what, int64_t change) {
  __atomic_fetch_add(what, static_cast<uint64_t>(change), __ATOMIC_RELAXED);
}

// Each end of a block holds a byte that only its size tells.
void Mark(void* block, size_t size) {
  if (block == nullptr) Broken("no memory");
  auto* bytes = static_cast<unsigned char*>(block);
  bytes[0] = bytes[size - 1] = static_cast<unsigned char>(size * 7);
}

void CheckMark(const void* block, size_t size, size_t kept) {
  const auto* bytes = static_cast<const unsigned char*>(block);
  const auto mark = static_cast<unsigned char>(size * 7);
  if (bytes[0] != mark || (kept == size && bytes[size - 1] != mark)) Broken("a block lost what was written to it");
  if (malloc_usable_size(const_cast<void*>(block)) < kept) Broken("a block is smaller than it was asked to be");
}

[[gnu::noinline]] void* KeepMalloc(size_t size) { return std::malloc(size); }
[[gnu::noinline]] void* KeepZeroed(size_t size) {
  auto* block = static_cast<unsigned char*>(std::calloc(1, size));
  if (block != nullptr && (block[0] != 0 || block[size / 2] != 0)) Broken("calloc gave what is not zero");
  return block;
}
[[gnu::noinline]] void* KeepAligned(size_t size, size_t alignment) {
  void* block = nullptr;
  if (posix_memalign(&block, alignment, size) != 0 || reinterpret_cast<uintptr_t>(block) % alignment != 0) {
    Broken("posix_memalign");
  }
  return block;
}
[[gnu::noinline]] void* KeepNew(size_t size) { return ::operator new(size, std::nothrow); }
[[gnu::noinline]] void* KeepGrown(void* block, size_t size) { return std::realloc(block, size); }

void Release(Actor* actor, int index) {
  CheckMark(actor->blocks[index], actor->sizes[index], actor->sizes[index]);
  Count(&g_blocks, -1);
  Count(&g_bytes, -static_cast<int64_t>(actor->sizes[index]));
  std::free(actor->blocks[index]);  // glibc: one heap, whatever function allocated
  actor->blocks[index] = nullptr;
}

size_t DrawSize(Actor* actor) {
  const uint32_t kind = Draw(actor, 20);
  return 1 + Draw(actor, kind == 0 ? 400'000 : kind < 4 ? 20'000 : 900);
}

void Hold(Actor* actor, int index, void* block, size_t size) {
  Mark(block, size);
  actor->blocks[index] = block;
  actor->sizes[index] = size;
  Count(&g_blocks, 1);
  Count(&g_bytes, static_cast<int64_t>(size));
}

void Grow(Actor* actor, int index) {
  const size_t before = actor->sizes[index], size = DrawSize(actor);
  void* block = KeepGrown(actor->blocks[index], size);
  if (block == nullptr) Broken("no memory");
  CheckMark(block, before, size < before ? size : before);
  Mark(block, size);
  actor->blocks[index] = block;
  actor->sizes[index] = size;
  Count(&g_bytes, static_cast<int64_t>(size) - static_cast<int64_t>(before));
}

[[gnu::noinline]] int KeepOpen() { return open("/dev/null", O_RDWR | O_CLOEXEC); }
[[gnu::noinline]] int KeepCopy(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }
[[gnu::noinline]] int KeepEvent() { return eventfd(0, EFD_CLOEXEC); }
[[gnu::noinline]] int KeepPoll() { return epoll_create1(EPOLL_CLOEXEC); }
[[gnu::noinline]] int KeepSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }
[[gnu::noinline]] int KeepMemory() { return memfd_create("random", MFD_CLOEXEC); }
[[gnu::noinline]] int KeepPipeEnd() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  close(ends[1]);
  return ends[0];
}
[[gnu::noinline]] int KeepReplaced(int descriptor) {  // the number is taken by something else
  int other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (other < 0 || dup3(other, descriptor, O_CLOEXEC) != descriptor) return -1;
  close(other);
  return descriptor;
}

int MakeDescriptor(Actor* actor) {
  using Maker = int (*)();
  static constexpr Maker kMakers[] = {KeepOpen, KeepEvent, KeepPoll, KeepSocket, KeepMemory, KeepPipeEnd};
  const int given = actor->descriptors[Draw(actor, kDescriptors)];
  if (given >= 0) return KeepCopy(given);
  return kMakers[Draw(actor, std::size(kMakers))]();
}

void Close(Actor* actor, int index) {
  if (close(actor->descriptors[index]) != 0) Broken("close");
  actor->descriptors[index] = -1;
  if (!actor->inherited[index]) Count(&g_descriptors, -1);
}

void Replace(Actor* actor, int index) {
  if (KeepReplaced(actor->descriptors[index]) != actor->descriptors[index]) Broken("dup3");
  if (actor->inherited[index]) Count(&g_descriptors, 1);
  actor->inherited[index] = false;
}

}  // namespace

void HeapStep(Actor* actor) {
  const int index = static_cast<int>(Draw(actor, kBlocks));
  const int number = errno = static_cast<int>(1 + Draw(actor, 40));
  if (actor->blocks[index] != nullptr) {
    if (Draw(actor, 3) == 0)
      Grow(actor, index);
    else
      Release(actor, index);
  } else {
    const size_t size = DrawSize(actor);
    switch (Draw(actor, 5)) {
      case 0:
        Hold(actor, index, KeepZeroed(size), size);
        break;
      case 1:
        Hold(actor, index, KeepAligned(size, size_t{16} << Draw(actor, 5)), size);
        break;
      case 2:
        Hold(actor, index, KeepNew(size), size);
        break;
      default:
        Hold(actor, index, KeepMalloc(size), size);
        break;
    }
  }
  if (errno != number) Broken("a call that succeeded changed errno");
  Note(actor, index);
}

void DescriptorStep(Actor* actor) {
  const int index = static_cast<int>(Draw(actor, kDescriptors));
  int* descriptor = &actor->descriptors[index];
  if (*descriptor < 0) {
    *descriptor = MakeDescriptor(actor);
    if (*descriptor < 0) Broken("a descriptor could not be made");
    actor->inherited[index] = false;
    Count(&g_descriptors, 1);
  } else if (Draw(actor, 4) == 0) {
    Replace(actor, index);
  } else {
    Close(actor, index);
  }
  Note(actor, *descriptor >= 0);
}

// A library comes, allocates for the program, and goes again. Its memory stays.
[[gnu::noinline]] static void* KeepFromPlugin(void* library, size_t size) {
  using Allocate = void* (*)(size_t);
  auto allocate = reinterpret_cast<Allocate>(dlsym(library, "PluginAllocate"));
  if (allocate == nullptr) Broken(dlerror());
  void* volatile block = allocate(size);  // no tail call: this frame is the one that is looked for
  return block;
}

static void FreeInPlugin(void* library, void* block) {
  using Free = void (*)(void*);
  reinterpret_cast<Free>(dlsym(library, "PluginFree"))(block);
}

void PluginStep(Actor* actor) {
  const int index = static_cast<int>(Draw(actor, kBlocks));
  // Bound to libc's own functions before the program's: what such a library allocates may be seen or not, so it keeps
  // nothing.
  const bool deep = Draw(actor, 3) == 0;
  void* library = deep ? dlopen(g_plugins[2], RTLD_NOW | RTLD_DEEPBIND) : dlopen(g_plugins[Draw(actor, 2)], RTLD_NOW);
  if (library == nullptr) Broken(dlerror());
  const size_t size = DrawSize(actor);
  if (deep) {
    FreeInPlugin(library, KeepFromPlugin(library, size));
  } else if (actor->blocks[index] == nullptr) {
    Hold(actor, index, KeepFromPlugin(library, size), size);
  } else {
    Count(&g_blocks, -1);
    Count(&g_bytes, -static_cast<int64_t>(actor->sizes[index]));
    FreeInPlugin(library, actor->blocks[index]);
    actor->blocks[index] = nullptr;
  }
  if (dlclose(library) != 0) Broken(dlerror());
  Note(actor, index);
}

void DropAll(Actor* actor) {
  for (int index = 0; index < kBlocks; ++index) {
    if (actor->blocks[index] != nullptr) Release(actor, index);
  }
  for (int index = 0; index < kDescriptors; ++index) {
    if (actor->descriptors[index] >= 0) Close(actor, index);
  }
}

void InheritDescriptors(Actor* actor) {
  for (bool& inherited : actor->inherited) inherited = true;
  g_descriptors = 0;
}

void CloseEverything(Actor* actor) {
  if (close_range(3, ~0u, 0) != 0) Broken("close_range");
  for (int& descriptor : actor->descriptors) descriptor = -1;
  g_descriptors = 0;
}

void TellTruth() {
  const char* path = std::getenv("RANDOM_TRUTH");
  if (path == nullptr) return;
  char line[128];
  const int length =
      std::snprintf(line, sizeof(line), "%d %llu %llu %llu\n", getpid(), static_cast<unsigned long long>(g_blocks),
                    static_cast<unsigned long long>(g_bytes), static_cast<unsigned long long>(g_descriptors));
  const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, static_cast<size_t>(length)) != length) Broken("the truth cannot be written");
  close(file);
}

}  // namespace random_program
