// The program leakhunt-collect as an init: exit statuses, signals, orphans, descriptors, silence.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "collector/supervise/launch.h"
#include "collector/supervise/program_check.h"
#include "collector/supervise/search_path.h"
#include "fake_guest.h"

namespace leakhunt::supervise {
namespace {

using leakhunt::testing::TemporaryDirectory;

// A program in a process of its own, its output caught.
class Caught {
 public:
  explicit Caught(std::vector<std::string> arguments) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      setenv("LEAKHUNT_LIBRARY", "/nonexistent", 1);
      execvp(pointers[0], pointers.data());
      _exit(99);
    }
    close(ends[1]);
    read_.Reset(ends[0]);
  }

  // Reads until `text` was printed, or five seconds have passed.
  bool Prints(const std::string& text) {
    while (text_.find(text) == std::string::npos) {
      if (!ReadSome(5000)) return false;
    }
    return true;
  }
  void Signal(int signal) { kill(pid_, signal); }
  int ExitStatus() {
    while (ReadSome(10'000)) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  const std::string& Text() const { return text_; }
  pid_t Pid() const { return pid_; }

 private:
  bool ReadSome(int timeout_ms) {
    pollfd poll_fd{read_.Get(), POLLIN, 0};
    char buffer[4096];
    if (poll(&poll_fd, 1, timeout_ms) != 1) return false;
    ssize_t got = read(read_.Get(), buffer, sizeof(buffer));
    if (got <= 0) return false;
    text_.append(buffer, static_cast<size_t>(got));
    return true;
  }

  pid_t pid_;
  UniqueFd read_;
  std::string text_;
};

// leakhunt-collect with `arguments`.
Caught Collect(const std::string& output, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {LEAKHUNT_COLLECT, "--quiet", "--output", output});
  return Caught(std::move(arguments));
}

class SuperviseTest : public ::testing::Test {
 protected:
  SuperviseTest() {  // a background job of a shell is started with both ignored, and a command's trap could not undo that
    for (int number : {SIGINT, SIGQUIT}) std::signal(number, SIG_DFL);
  }
  Caught Run(std::vector<std::string> command) {
    command.insert(command.begin(), "--");
    return Collect(directory_.Path() + "/recordings", std::move(command));
  }
  Caught Shell(const std::string& script) { return Run({"sh", "-c", script}); }
  TemporaryDirectory directory_;
};

TEST_F(SuperviseTest, TheStatusIsTheCommandsOwn) {
  EXPECT_EQ(Run({"true"}).ExitStatus(), 0);
  EXPECT_EQ(Shell("exit 7").ExitStatus(), 7);
  EXPECT_EQ(Shell("kill -9 $$").ExitStatus(), 137);
  EXPECT_EQ(Shell("kill -SEGV $$").ExitStatus(), 139);
  EXPECT_EQ(Run({"/nonexistent/program"}).ExitStatus(), 127);
  EXPECT_EQ(Run({"no-such-program-anywhere"}).ExitStatus(), 127);
  EXPECT_EQ(Run({"/etc/passwd"}).ExitStatus(), 126);
  EXPECT_EQ(Run({"/tmp"}).ExitStatus(), 126);
}

TEST_F(SuperviseTest, AScriptWithoutAnInterpreterLineRunsAsFromAShell) {
  std::string path = directory_.Path() + "/script";
  int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0755);
  ASSERT_EQ(write(fd, "exit 5\n", 7), 7);
  close(fd);
  EXPECT_EQ(Run({path}).ExitStatus(), 5);
}

TEST_F(SuperviseTest, NothingIsAddedToWhatTheCommandPrints) {
  Caught collect = Shell("echo out; echo err >&2");
  EXPECT_EQ(collect.ExitStatus(), 0);
  EXPECT_EQ(collect.Text(), "out\nerr\n");
}

TEST_F(SuperviseTest, SignalsReachTheCommand) {
  for (const char* name : {"TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM", "CONT", "PIPE"}) {
    Caught collect = Shell("trap 'echo got " + std::string(name) + "; exit 3' " + name +
                           "; echo ready; while :; do sleep 0.02; done");
    ASSERT_TRUE(collect.Prints("ready")) << name;
    std::pair<const char*, int> numbers[] = {
        {"TERM", SIGTERM}, {"INT", SIGINT},     {"HUP", SIGHUP},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
        {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"ALRM", SIGALRM}, {"CONT", SIGCONT}, {"PIPE", SIGPIPE}};
    for (const auto& [known, number] : numbers) {
      if (std::string(known) == name) collect.Signal(number);
    }
    EXPECT_EQ(collect.ExitStatus(), 3) << name;
    EXPECT_NE(collect.Text().find("got " + std::string(name)), std::string::npos);
  }
}

TEST_F(SuperviseTest, TheSnapshotSignalDoesNotKillACommandThatDoesNotKnowIt) {
  Caught collect = Shell("echo ready; sleep 0.2; exit 4");
  ASSERT_TRUE(collect.Prints("ready"));
  collect.Signal(SIGUSR1);
  EXPECT_EQ(collect.ExitStatus(), 4);
}

TEST_F(SuperviseTest, OrphansAreReaped) {
  Caught collect = Shell("sh -c 'sleep 0.05 & echo $!' ; sleep 0.3; ps -o stat= --ppid $PPID | grep -c Z; exit 0");
  EXPECT_EQ(collect.ExitStatus(), 0);
  EXPECT_TRUE(collect.Text().ends_with("\n0\n")) << collect.Text();
}

TEST_F(SuperviseTest, TheCommandFindsItsDescriptorsMaskAndLimitsAsWithoutUs) {
  std::string script = "ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -Sn";
  Caught under = Shell(script);
  EXPECT_EQ(under.ExitStatus(), 0);
  Caught plain({"sh", "-c", script});
  EXPECT_EQ(plain.ExitStatus(), 0);
  EXPECT_EQ(under.Text(), plain.Text());
}

TEST_F(SuperviseTest, ABareCommandFindsEverythingAsWithoutUs) {
  std::string script = "ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -Sn; ps -o comm= --ppid $$";
  Caught plain({"sh", "-c", script});
  EXPECT_EQ(plain.ExitStatus(), 0);
  // What cannot work before the collector is made; what turns out when it is: a socket without a directory.
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--budget", "lots"}, {"--no-such-option"}, {"--pid", "1"}}) {
    std::vector<std::string> arguments = {"--or-bare"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    arguments.insert(arguments.end(), {"--", "sh", "-c", script});
    Caught under = Collect(directory_.Path(), arguments);
    EXPECT_EQ(under.ExitStatus(), 0) << wrong.front();
    const std::string text = under.Text();
    EXPECT_TRUE(text.starts_with("leakhunt-collect: ")) << text;
    EXPECT_EQ(text.substr(text.find('\n') + 1), plain.Text()) << wrong.front();
  }
}

TEST_F(SuperviseTest, ADurationEndsTheCommand) {
  Caught collect = Collect(directory_.Path(), {"--duration", "200ms", "--", "sleep", "60"});
  EXPECT_EQ(collect.ExitStatus(), 128 + SIGTERM);
}

TEST_F(SuperviseTest, NoSocketDirectoryIsLeftBehind) {
  setenv("TMPDIR", directory_.Path().c_str(), 1);
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(Run({"true"}).ExitStatus(), 0);
  unsetenv("TMPDIR");
  int left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.Path()))
    left += entry.path().filename().native().starts_with("leakhunt-");
  EXPECT_EQ(left, 0);
}

TEST(SearchPath, TellsNotFoundFromNotExecutable) {
  EXPECT_FALSE(FindProgram("sh").path.empty());
  EXPECT_EQ(FindProgram("/etc/passwd").exit_code, 126);
  EXPECT_EQ(FindProgram("/etc/passwd/x").exit_code, 127);
  EXPECT_EQ(FindProgram("").exit_code, 127);
}

TEST(ProgramCheck, SaysWhyAProgramCannotBeRecorded) {
  EXPECT_EQ(CheckProgram("/bin/sh").obstacle, Obstacle::kNone);
  EXPECT_EQ(CheckProgram("/lib64/ld-linux-x86-64.so.2").obstacle, Obstacle::kNone) << "the loader, run as a command";
  EXPECT_EQ(CheckProgram("/sbin/ldconfig").obstacle, Obstacle::kStatic);
  EXPECT_EQ(CheckProgram("/etc/passwd").obstacle, Obstacle::kNone) << "not a program: the kernel says so";
  for (Obstacle obstacle : {Obstacle::kStatic, Obstacle::kPrivileged, Obstacle::kMusl, Obstacle::kOtherMachine}) {
    std::string line = Explain({obstacle, "/x"});
    EXPECT_NE(line.find("/x"), std::string::npos);
    EXPECT_NE(line.find(": "), std::string::npos) << "says what to do: " << line;
  }
}

TEST(ProgramCheck, AScriptIsJudgedByItsInterpreter) {
  TemporaryDirectory directory;
  std::string path = directory.Path() + "/script";
  int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0755);
  std::string text = "#!/sbin/ldconfig -p\n";
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(fd);
  EXPECT_EQ(CheckProgram(path).obstacle, Obstacle::kStatic);
  EXPECT_EQ(CheckProgram(path).file, "/sbin/ldconfig");
}

std::string Variable(const std::vector<std::string>& environment, const std::string& name) {
  for (const std::string& entry : environment) {
    if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
  }
  return "unset";
}

TEST(Launch, TheEnvironmentCarriesTheOptionsThatWereGiven) {
  unsetenv("LEAKHUNT_SAMPLE_BYTES");
  setenv("LD_PRELOAD", "libjemalloc.so.2", 1);
  Options options;
  options.budget_ppm = 5000;
  options.track = protocol::kTrackHeap | protocol::kTrackThreads;
  auto environment = RecordedEnvironment(options, "/p/lib/libleakhunt.so", "/s/collector.sock");
  unsetenv("LD_PRELOAD");
  EXPECT_EQ(Variable(environment, "LD_PRELOAD"), "/p/lib/libleakhunt.so:libjemalloc.so.2");
  EXPECT_EQ(Variable(environment, "LEAKHUNT_SOCKET"), "/s/collector.sock");
  EXPECT_EQ(Variable(environment, "LEAKHUNT_COLLECTOR"), "run");
  EXPECT_EQ(Variable(environment, "LEAKHUNT_BUDGET"), "0.5%");
  EXPECT_EQ(Variable(environment, "LEAKHUNT_TRACK"), "heap,threads");
  EXPECT_EQ(Variable(environment, "LEAKHUNT_SAMPLE_BYTES"), "unset");
}

}  // namespace
}  // namespace leakhunt::supervise
