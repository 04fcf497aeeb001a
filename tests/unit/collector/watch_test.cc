// What is read from /proc: texts as kernels write them, and this very process.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/watch/cgroup.h"
#include "collector/watch/kernel_handles.h"
#include "collector/watch/socket_tables.h"
#include "collector/watch/vitals.h"

namespace leakhunt::watch {
namespace {

TEST(ProcText, NumbersFollowTheirKeyAtTheStartOfALine) {
  EXPECT_EQ(NumberAfter("VmPeak:\t 10 kB\nVmRSS:\t   1234 kB\n", "VmRSS:"), 1234u);
  EXPECT_EQ(NumberAfter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill "), 3u);
  EXPECT_EQ(NumberAfter("Max open files            unlimited  4096 files\n", "Max open files"), std::nullopt);
  EXPECT_EQ(NumberAfter("x VmRSS: 5", "VmRSS:"), std::nullopt);
  EXPECT_EQ(
      SoftLimit("Limit  Soft  Hard  Units\nMax open files            1024                 4096                 files\n",
                "Max open files"),
      1024u);
}

TEST(ProcText, AStatLineWithAHostileNameIsRead) {
  std::string line = "12 (a) b) S (x) R 7 12 12 0 -1 4194560 1 2 3 4 100 50 0 0 20 0 1 0 987654 1 2";
  auto stat = ParseProcessStat(line);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->parent_pid, 7);
  EXPECT_EQ(stat->start_ticks, 987654u);
  EXPECT_DOUBLE_EQ(stat->cpu_seconds, 150.0 / static_cast<double>(sysconf(_SC_CLK_TCK)));
  EXPECT_FALSE(ParseProcessStat("12 (x) R 7"));
  EXPECT_FALSE(ParseProcessStat(""));
}

constexpr char kSmaps[] =
    "55e0-5600 r-xp 00000000 fe:00 99        /usr/bin/x\nSize: 8 kB\nRss:  8 kB\nPss:   4 kB\nSwap: 0 kB\n"
    "56000000-56100000 rw-p 00000000 00:00 0     [heap]\nRss:  100 kB\nPss: 100 kB\nSwap: 12 kB\n"
    "7f0000000000-7f0000001000 ---p 00000000 00:00 0 \nRss:  0 kB\n"
    "7f0000001000-7f0000801000 rw-p 00000000 00:00 0 \nRss:  40 kB\nPss: 40 kB\n"
    "7f0010000000-7f0014000000 ---p 00000000 00:00 0 \nRss:  0 kB\n"
    "7f0014000000-7f0014021000 rw-p 00000000 00:00 0 \nRss:  16 kB\nPss: 16 kB\n"
    "7f0020000000-7f0020100000 rw-s 00000000 00:01 5     /memfd:leakhunt (deleted)\nRss:  64 kB\nPss: 64 kB\n"
    "7f0030000000-7f0030100000 rw-s 00000000 00:01 6     /memfd:pool (deleted)\nRss:  32 kB\nPss: 32 kB\n"
    "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0     [stack]\nRss:  20 kB\nPss: 20 kB\nVmFlags: rd wr\n";

TEST(MemoryMap, EveryResidentPageHasAClass) {
  const MemoryMap map = ParseMemoryMap(kSmaps);
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kFile), 8u << 10);
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kStack), 60u << 10) << "the main stack, and one above a guard page";
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kAnonymous), 116u << 10) << "the heap, and an arena above a large reservation";
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kLeakhunt), 64u << 10);
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kShared), 32u << 10);
  EXPECT_EQ(map.RssBytes(), 280u << 10);
  EXPECT_EQ(map.areas[1].swap_bytes, 12u << 10);
}

TEST(MemoryMap, TextThatIsNoneGivesNothing) {
  EXPECT_TRUE(ParseMemoryMap("").areas.empty());
  EXPECT_EQ(ParseMemoryMap("Rss:\n-\n - \nzz-yy\nRss: x").RssBytes(), 0u);
  EXPECT_EQ(ParseMemoryMap("2000-3000 rw-p 0 0:0 0\nRss: 4 kB\n1000-2800 rw-p 0 0:0 0\nRss: 4 kB\n").RssBytes(), 4096u)
      << "areas that overlap or go back are left out";
}

TEST(MemoryMap, TheExecutablesBssIsNotTheAllocators) {
  const MemoryMap map = ParseMemoryMap(
      "400000-401000 r-xp 0 fe:00 99 /bin/x\nRss: 4 kB\n401000-402000 rw-p 0 fe:00 99 /bin/x\nRss: 4 kB\n"
      "402000-502000 rw-p 0 00:00 0 \nRss: 512 kB\n700000-701000 rw-p 0 00:00 0 [heap]\nRss: 4 kB\n");
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kFile), 520u << 10);
  EXPECT_EQ(map.RssBytesOf(MemoryClass::kAnonymous), 4u << 10);
}

TEST(Cgroup, TheHierarchyIsFoundInBothVersions) {
  CgroupHierarchy two = FindHierarchy("25 30 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
  EXPECT_EQ(two.version, 2);
  EXPECT_EQ(two.mount, "/sys/fs/cgroup");
  CgroupHierarchy one = FindHierarchy(
      "1 0 0:1 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n2 0 0:2 /docker/abc /sys/fs/cgroup/memory rw shared:9 "
      "- cgroup cgroup rw,memory\n");
  EXPECT_EQ(one.version, 1);
  EXPECT_EQ(one.root, "/docker/abc");
  EXPECT_TRUE(FindHierarchy("").mount.empty());
}

TEST(Cgroup, GroupsAreWalkedFromTheProcessUp) {
  CgroupHierarchy two{"/cg", "/", 2};
  EXPECT_EQ(GroupDirectories(two, "0::/a.slice/b.service\n"),
            (std::vector<std::string>{"/cg/a.slice/b.service", "/cg/a.slice", "/cg"}));
  EXPECT_EQ(GroupDirectories(two, "0::/\n"), (std::vector<std::string>{"/cg"}));
  EXPECT_EQ(GroupDirectories(two, "0::/../../x\n"), (std::vector<std::string>{"/cg"}));
  CgroupHierarchy container{"/cg/memory", "/docker/abc", 1};
  EXPECT_EQ(GroupDirectories(container, "9:pids:/\n4:cpu,memory:/docker/abc/w\n0::/\n"),
            (std::vector<std::string>{"/cg/memory/w", "/cg/memory"}));
  EXPECT_TRUE(GroupDirectories(two, "").empty());
}

TEST(SocketTables, LabelsNameBothEndsAndTheState) {
  SocketTables tables;
  ParseInternetTable(
      "  sl  local_address rem_address   st ...\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100\n"
      "   1: 0100007F:1F90 0200000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 112 1 0 100\n",
      "tcp", &tables);
  ParseInternetTable(
      "title\n 0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 113 2 0 "
      "0\n",
      "udp6", &tables);
  EXPECT_EQ(tables[111].label, "tcp 127.0.0.1:8080 LISTEN");
  EXPECT_EQ(tables[112].label, "tcp 127.0.0.1:8080 -> 10.0.0.2:50000 ESTABLISHED");
  EXPECT_EQ(tables[113].label, "udp [::1]:80");
  EXPECT_EQ(tables[113].type, snapshot::HandleType::kUdp);
  ParseUnixTable(
      "Num RefCount Protocol Flags Type St Inode Path\nffff: 00000002 00000000 00010000 0001 01 114 /run/x.sock\n",
      &tables);
  EXPECT_EQ(tables[114].label, "unix /run/x.sock STREAM LISTEN");
  ParseInternetTable("title\nshort line\n\n", "tcp", &tables);
}

const ledger::KernelHandle* Find(const KernelHandles& handles, int fd) {
  for (const auto& handle : handles.handles) {
    if (handle.fd == fd) return &handle;
  }
  return nullptr;
}

TEST(KernelHandles, EveryKindOfDescriptorIsNamed) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  UniqueFd file(open("/proc/self/exe", O_RDONLY)), directory(open("/tmp", O_RDONLY | O_DIRECTORY));
  UniqueFd null(open("/dev/null", O_RDWR)), event(eventfd(0, 0)), epoll(epoll_create1(0));
  UniqueFd unbound(socket(AF_INET, SOCK_STREAM, 0)), listening(socket(AF_INET, SOCK_STREAM, 0));
  UniqueFd own(memfd_create("leakhunt", 0)), memory(memfd_create("pool", 0));
  epoll_event interest{};
  ASSERT_EQ(epoll_ctl(epoll.Get(), EPOLL_CTL_ADD, event.Get(), &interest), 0);
  ASSERT_EQ(listen(listening.Get(), 1), 0);
  auto process = ProcDirectory::Open(getpid());
  auto handles = ReadKernelHandles(*process, 0);
  ASSERT_TRUE(handles);
  using Type = snapshot::HandleType;
  std::pair<int, Type> expected[] = {
      {pipe_ends[0], Type::kPipe}, {file.Get(), Type::kFile},     {directory.Get(), Type::kDirectory},
      {null.Get(), Type::kDevice}, {event.Get(), Type::kEventfd}, {epoll.Get(), Type::kEpoll},
      {unbound.Get(), Type::kTcp}, {listening.Get(), Type::kTcp}, {memory.Get(), Type::kMemfd}};
  for (const auto& [fd, type] : expected) {
    const auto* handle = Find(*handles, fd);
    ASSERT_NE(handle, nullptr) << fd;
    EXPECT_EQ(handle->type, type) << handle->link;
  }
  EXPECT_EQ(Find(*handles, own.Get()), nullptr) << "leakhunt's own pages are left out";
  EXPECT_EQ(handles->own, 1u);
  EXPECT_EQ(Find(*handles, epoll.Get())->label, "epoll of 1");
  EXPECT_EQ(Find(*handles, directory.Get())->label, "/tmp");
  EXPECT_TRUE(Find(*handles, listening.Get())->label.ends_with("LISTEN")) << Find(*handles, listening.Get())->label;
  close(pipe_ends[0]), close(pipe_ends[1]);
}

TEST(KernelHandles, TheGuestsOwnConnectionIsLeftOut) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  uint64_t inode = PeerSocketInode(ends[1]);
  if (inode == 0) GTEST_SKIP() << "sock_diag is not available here";
  auto handles = ReadKernelHandles(*ProcDirectory::Open(getpid()), inode);
  EXPECT_EQ(Find(*handles, ends[0]), nullptr);
  EXPECT_NE(Find(*handles, ends[1]), nullptr);
  close(ends[0]), close(ends[1]);
}

TEST(Vitals, ThisProcessHasThem) {
  auto process = ProcDirectory::Open(getpid());
  VitalsWatch watch(*process);
  snapshot::VitalsPoint point = watch.Read(*process, 1'000'000, SmapsWish::kNow);
  EXPECT_GT(point.rss_bytes, 1u << 20);
  EXPECT_GE(point.peak_rss_bytes, point.rss_bytes);
  EXPECT_GE(point.virtual_bytes, point.rss_bytes);
  EXPECT_GT(point.pss_bytes, 0u);
  EXPECT_GT(point.stack_bytes, 0u);
  EXPECT_GT(point.file_bytes, 0u);
  ASSERT_NE(watch.Memory(), nullptr);
  EXPECT_GT(watch.Memory()->Map().RssBytesOf(MemoryClass::kAnonymous), 0u);
  watch.ForgetMemory();
  EXPECT_GE(point.threads, 1u);
  EXPECT_EQ(point.open_handles, process->Numbers("fd")->size() - 1) << "less the descriptor that listed them";
  snapshot::VitalsPoint soon = watch.Read(*process, 1'001'000, SmapsWish::kWhenDue);
  EXPECT_EQ(soon.pss_bytes, 0u) << "smaps is not read every second";
  EXPECT_NEAR(static_cast<double>(ResidentBytes(*process)), static_cast<double>(point.rss_bytes), 8e6);
  EXPECT_GT(watch.ReadLimits(*process).machine_bytes, 0u);
}

TEST(ProcDirectory, AProcessThatIsGoneAnswersNothing) {
  pid_t child = fork();
  if (child == 0) pause();
  auto process = ProcDirectory::Open(child);
  ASSERT_TRUE(process);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(process->Read("stat"));
  EXPECT_FALSE(process->Numbers("fd"));
  EXPECT_FALSE(ProcDirectory().Read("stat"));
}

}  // namespace
}  // namespace leakhunt::watch
