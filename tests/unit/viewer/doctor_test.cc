// Why nothing is recorded: on programs made for the purpose.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/viewer/run_report.h"
#include "viewer/doctor/elf_facts.h"
#include "viewer/doctor/program_checks.h"
#include "viewer/doctor/surroundings.h"

namespace leakhunt::viewer {
namespace {

using leakhunt::testing::Contains;
using leakhunt::testing::TemporaryDirectory;

Symptoms Examine(const std::filesystem::path& program) {
  Symptoms symptoms;
  Status examined = CheckProgram(program, "", symptoms);
  EXPECT_TRUE(examined) << examined.error().message;
  return symptoms;
}

const Symptom* Find(const Symptoms& symptoms, const std::string& check) {
  for (const Symptom& s : symptoms) {
    if (s.check == check) return &s;
  }
  return nullptr;
}

TEST(Doctor, ADynamicProgramHasNothingInTheWay) {
  Symptoms symptoms = Examine("/proc/self/exe");
  for (const Symptom& s : symptoms) EXPECT_NE(s.health, Health::kProblem) << s.check << ": " << s.what;
  ASSERT_NE(Find(symptoms, "libc"), nullptr);
}

TEST(Doctor, AStaticProgramIsNamedAsSuch) {
  const Symptoms symptoms = Examine(STATIC_PROGRAM);
  ASSERT_NE(Find(symptoms, "static"), nullptr);
  EXPECT_EQ(Find(symptoms, "static")->health, Health::kProblem);
  EXPECT_FALSE(Find(symptoms, "static")->remedy.empty());
}

TEST(Doctor, AProgramWithItsOwnMallocIsNamedAsSuch) {
  const Symptoms symptoms = Examine(OWN_MALLOC_PROGRAM);
  ASSERT_NE(Find(symptoms, "malloc"), nullptr);
  EXPECT_EQ(Find(symptoms, "malloc")->health, Health::kProblem);
}

TEST(Doctor, ASetuidProgramIsNamedAsSuch) {
  TemporaryDirectory directory;
  auto program = directory.Path() / "setuid";
  std::filesystem::copy("/proc/self/exe", program);
  ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
  const Symptoms symptoms = Examine(program);
  ASSERT_NE(Find(symptoms, "setuid"), nullptr);
  EXPECT_TRUE(Contains(Find(symptoms, "setuid")->what, "setuid"));
}

TEST(Doctor, AScriptIsJudgedByItsInterpreter) {
  TemporaryDirectory directory;
  auto script = directory.Path() / "script";
  std::ofstream(script) << "#!/usr/bin/env sh\nexit 0\n";
  ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
  EXPECT_EQ(ScriptInterpreter(script), "sh");
  const Symptoms symptoms = Examine(script);
  ASSERT_NE(Find(symptoms, "script"), nullptr);
  EXPECT_NE(Find(symptoms, "static"), nullptr);
}

TEST(Doctor, AFileThatIsNoProgramIsAnError) {
  TemporaryDirectory directory;
  auto file = directory.Path() / "data";
  std::ofstream(file) << "\x7f" "ELF but not really";
  EXPECT_FALSE(ReadElfFacts(file));
  EXPECT_FALSE(ReadElfFacts("/nonexistent"));
}

TEST(Doctor, TruncatedElfFilesDoNoHarm) {
  TemporaryDirectory directory;
  auto file = directory.Path() / "torn";
  std::filesystem::copy(OWN_MALLOC_PROGRAM, file);
  for (uintmax_t size = std::filesystem::file_size(file); size > 64; size = size * 3 / 4) {
    std::filesystem::resize_file(file, size);
    (void)ReadElfFacts(file);
  }
}

TEST(Doctor, SwitchedOffBySettingIsAProblem) {
  Symptoms symptoms;
  CheckCollector({{"LEAKHUNT_COLLECTOR", "off"}}, ::geteuid(), symptoms);
  ASSERT_EQ(symptoms.size(), 1u);
  EXPECT_EQ(symptoms[0].health, Health::kProblem);
}

TEST(Doctor, NoCollectorIsAProblemOnlyWhereNoneIsStarted) {
  Symptoms by_itself, never;
  CheckCollector({{"LEAKHUNT_SOCKET", "/nonexistent/sock"}, {"LEAKHUNT_COLLECTOR", "connect"}}, ::geteuid(), never);
  EXPECT_EQ(never.at(0).health, Health::kProblem);
  TemporaryDirectory directory;
  CheckCollector({{"XDG_RUNTIME_DIR", directory.Path()}}, 4'000'000, by_itself);
  EXPECT_NE(by_itself.at(0).health, Health::kProblem);
}

TEST(Doctor, ThisProcessWasNotPreloaded) {
  auto outcome = leakhunt::testing::Report({"doctor", std::to_string(::getpid())});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "started without LD_PRELOAD=libleakhunt.so")) << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "leakhunt-collect --pid PID"));
}

TEST(Doctor, APidThatIsNotThereIsAnError) {
  auto outcome = leakhunt::testing::Report({"doctor", "999999999"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Contains(outcome.err, "no process 999999999"));
}

}  // namespace
}  // namespace leakhunt::viewer
