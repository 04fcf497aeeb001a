// The guest's end of the socket: whom it trusts, what it believes, and which descriptors it takes for its own.
#include "preload/transport/connection.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "preload/protocol/handshake.h"
#include "recorded_guest.h"
#include "tests/unit/collector/fake_guest.h"

namespace leakhunt::transport {
namespace {

using protocol::Message;
using protocol::MessageKind;
using testing::TemporaryDirectory;

constexpr uid_t kStranger = 65'534, kOther = 65'533;  // no user of either number is needed

// Listens as a collector does.
class Listener {
 public:
  explicit Listener(const std::string& path) : socket_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, path.c_str());
    if (bind(socket_.Get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0 || listen(socket_.Get(), 8) != 0)
      abort();
    chmod(path.c_str(), 0777);
  }
  void Accept() { peer_.Reset(accept(socket_.Get(), nullptr, nullptr)); }
  // The next message; `*memfd` gets the descriptor that came with it.
  Message Receive(UniqueFd* memfd = nullptr) {
    Message message{};
    iovec part{&message, sizeof(message)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part, header.msg_iovlen = 1;
    header.msg_control = control, header.msg_controllen = sizeof(control);
    EXPECT_EQ(recvmsg(peer_.Get(), &header, 0), static_cast<ssize_t>(sizeof(message)));
    if (cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr && memfd != nullptr) {
      memfd->Reset(*reinterpret_cast<int*>(CMSG_DATA(rights)));
    }
    return message;
  }
  void Send(const Message& message) { EXPECT_TRUE(testing::SendWith(peer_.Get(), &message, sizeof(message), {})); }
  void Close() { peer_.Reset(), socket_.Reset(); }

 private:
  UniqueFd socket_, peer_;
};

class Connection : public ::testing::Test {
 protected:
  Connection() { chmod(directory_.Path().c_str(), 0777); }
  bool ConnectNow(Answer answer = Answer::kNotAwaited, Settings* settings = nullptr) {
    return Connect(path_.c_str(), memfd_, 3, answer, settings);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.Path() + "/socket";
  int memfd_ = memfd_create("pages", MFD_CLOEXEC);
};

TEST_F(Connection, HelloBringsThePages) {
  Listener listener(path_);
  ASSERT_TRUE(ConnectNow());
  listener.Accept();
  UniqueFd memfd;
  const Message hello = listener.Receive(&memfd);
  EXPECT_EQ(hello.kind, static_cast<uint16_t>(MessageKind::kHello));
  EXPECT_EQ(hello.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(hello.image, 3u);
  struct stat sent {
  }, own{};
  ASSERT_EQ(fstat(memfd.Get(), &sent), 0);
  ASSERT_EQ(fstat(memfd_, &own), 0);
  EXPECT_EQ(sent.st_ino, own.st_ino);
  EXPECT_TRUE(Connected());
}

TEST_F(Connection, WithoutACollectorThereIsNone) {
  EXPECT_FALSE(ConnectNow());
  EXPECT_FALSE(Connected());
  EXPECT_TRUE(SoughtCollector());
}

// A listener under `listener_uid` and a program under `program_uid`: does the program hand its pages over?
bool Trusts(const std::string& path, int memfd, uid_t listener_uid, uid_t program_uid) {
  int ready[2];
  if (pipe(ready) != 0) abort();
  const pid_t collector = fork();
  if (collector == 0) {
    if (setresuid(listener_uid, listener_uid, listener_uid) != 0) _exit(1);
    const Listener listener(path);
    (void)!write(ready[1], "r", 1);
    pause();
  }
  char byte;
  (void)!read(ready[0], &byte, 1);
  const pid_t program = fork();
  if (program == 0) {
    if (setresuid(program_uid, program_uid, program_uid) != 0) _exit(2);
    _exit(Connect(path.c_str(), memfd, 0, Answer::kNotAwaited, nullptr) ? 1 : 0);
  }
  int status = 0;
  waitpid(program, &status, 0);
  kill(collector, SIGKILL);
  waitpid(collector, nullptr, 0);
  unlink(path.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) < 2) << status;
  return WEXITSTATUS(status) == 1;
}

TEST_F(Connection, OnlyOnesOwnUserAndRootAreTrustedWithThePages) {
  if (geteuid() != 0) GTEST_SKIP() << "needs to be several users";
  EXPECT_TRUE(Trusts(path_, memfd_, kStranger, kStranger));
  EXPECT_TRUE(Trusts(path_, memfd_, 0, kStranger));
  EXPECT_FALSE(Trusts(path_, memfd_, kOther, kStranger));
  EXPECT_FALSE(Trusts(path_, memfd_, kStranger, 0)) << "nor does root trust a user";
}

Message Welcome() {
  Message message{};
  message.magic = protocol::kMessageMagic;
  message.version = protocol::kProtocolVersion;
  message.kind = static_cast<uint16_t>(MessageKind::kWelcome);
  message.values[protocol::kWelcomeFixedInterval] = 4096;
  message.values[protocol::kWelcomeBudgetPpm] = 20'000;
  message.values[protocol::kWelcomeTrack] = protocol::kTrackHeap;
  message.values[protocol::kWelcomeChildren] = 0;
  return message;
}

// A collector in a process of its own that answers the first Hello with `answer`.
pid_t Answering(const std::string& path, const Message& answer, int ready) {
  const pid_t collector = fork();
  if (collector != 0) return collector;
  Listener listener(path);
  (void)!write(ready, "r", 1);
  listener.Accept();
  listener.Receive();
  listener.Send(answer);
  pause();
  _exit(0);
}

Settings AnswerOf(const std::string& path, int memfd, const Message& answer, bool* connected) {
  int ready[2];
  if (pipe(ready) != 0) abort();
  const pid_t collector = Answering(path, answer, ready[1]);
  char byte;
  (void)!read(ready[0], &byte, 1);
  Settings settings;
  *connected = Connect(path.c_str(), memfd, 0, Answer::kAwaited, &settings);
  kill(collector, SIGKILL);
  waitpid(collector, nullptr, 0);
  return settings;
}

TEST_F(Connection, WelcomeBringsTheSettings) {
  bool connected = false;
  const Settings settings = AnswerOf(path_, memfd_, Welcome(), &connected);
  EXPECT_TRUE(connected);
  EXPECT_TRUE(settings.received);
  EXPECT_EQ(settings.fixed_interval, 4096u);
  EXPECT_EQ(settings.budget_ppm, 20'000u);
  EXPECT_EQ(settings.track, static_cast<uint32_t>(protocol::kTrackHeap));
  EXPECT_FALSE(settings.follow_children);
}

TEST_F(Connection, ForeignAnswersAreNotBelieved) {
  Message foreign = Welcome();
  foreign.magic ^= 1;
  bool connected = true;
  const Settings settings = AnswerOf(path_, memfd_, foreign, &connected);
  EXPECT_FALSE(settings.received);
  EXPECT_FALSE(connected);
}

TEST_F(Connection, ARefusalEndsTheSeeking) {
  Message refused = Welcome();
  refused.kind = static_cast<uint16_t>(MessageKind::kRefused);
  std::strcpy(refused.text, "full");
  bool connected = true;
  AnswerOf(path_, memfd_, refused, &connected);
  EXPECT_FALSE(connected);
  unlink(path_.c_str());
  Listener listener(path_);
  KeepConnected(~uint64_t{0} / 2);
  EXPECT_FALSE(Connected());
}

TEST_F(Connection, ALostCollectorIsReplacedByTheNextAtMostOnceASecond) {
  auto first = std::make_unique<Listener>(path_);
  ASSERT_TRUE(ConnectNow());
  first->Accept();
  first->Close();
  unlink(path_.c_str());
  uint64_t now_ns = 100'000'000'000;
  KeepConnected(now_ns);
  EXPECT_FALSE(Connected());
  Listener second(path_);
  KeepConnected(now_ns + 500'000'000);
  EXPECT_FALSE(Connected()) << "within the second";
  KeepConnected(now_ns + 1'100'000'000);
  EXPECT_TRUE(Connected());
}

TEST_F(Connection, ADescriptorIsOursByItsInodeAndNotByItsNumber) {
  Listener listener(path_);
  ASSERT_TRUE(ConnectNow());
  const int connection = g_own.connection, pages = g_own.memfd;
  EXPECT_TRUE(IsOwnDescriptor(connection));
  EXPECT_TRUE(IsOwnDescriptor(pages));
  // The program closes ours by a raw call and opens something of its own under the numbers.
  const int program = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(dup2(program, connection), connection);
  ASSERT_EQ(dup2(program, pages), pages);
  EXPECT_FALSE(IsOwnDescriptor(connection));
  EXPECT_FALSE(IsOwnDescriptor(pages));
  Tell(MessageKind::kSnapshot, 0, 0, "never arrives");
  KeepConnected(100'000'000'000);
  EXPECT_FALSE(Connected()) << "the connection is given up";
  EXPECT_NE(fcntl(connection, F_GETFD), -1) << "and what is the program's is not closed";
}

TEST_F(Connection, OursMovesOutOfTheWayOfTheProgramsDup) {
  Listener listener(path_);
  ASSERT_TRUE(ConnectNow());
  const int before = g_own.connection;
  const int after = VacateDescriptor(before);
  EXPECT_NE(after, before);
  EXPECT_EQ(g_own.connection, after);
  EXPECT_TRUE(IsOwnDescriptor(after));
  EXPECT_NE(fcntl(after, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(VacateDescriptor(0), 0) << "what is not ours stays";
}

TEST_F(Connection, AForkedChildStartsWithoutItsParentsConnection) {
  Listener listener(path_);
  ASSERT_TRUE(ConnectNow());
  const int connection = g_own.connection, pages = g_own.memfd;
  const pid_t child = fork();
  if (child == 0) {
    ForgetConnection(pages);
    const bool closed = fcntl(connection, F_GETFD) == -1 && fcntl(pages, F_GETFD) == -1;
    _exit(closed && !Connected() && !SoughtCollector() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(Connected());
}

}  // namespace
}  // namespace leakhunt::transport
