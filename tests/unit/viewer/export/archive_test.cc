// A bundle is a tar that any tar unpacks to the same files.
#include "viewer/export/archive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

class ArchiveTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) / ("archive-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
    fs::create_directories(root_ / "in");
    fs::create_directories(root_ / "out");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Put(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / "in" / file).parent_path());
    std::ofstream(root_ / "in" / file, std::ios::binary) << text;
  }
  std::string Get(const fs::path& file) {
    std::ifstream in(root_ / "out" / file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return in ? text.str() : "(missing)";
  }
  std::string Pack() {
    std::ostringstream out;
    ArchiveWriter archive(out);
    Status added = archive.AddDirectory(root_ / "in", "recording");
    EXPECT_TRUE(added) << added.error().message;
    archive.Finish();
    return out.str();
  }
  int Unpack(const std::string& bytes) {
    std::ofstream(root_ / "packed.tar.gz", std::ios::binary) << bytes;
    return std::system(("tar xzf '" + (root_ / "packed.tar.gz").string() + "' -C '" + (root_ / "out").string() + "'").c_str());
  }

  fs::path root_;
};

TEST_F(ArchiveTest, TarUnpacksTheSameFiles) {
  const std::string deep = "symbols/" + std::string(90, 'd') + "/" + std::string(80, 'f') + ".debug";
  std::string big;
  for (int i = 0; i < 400'000; ++i) big += std::to_string(i * 2654435761u);
  Put("snapshot-000001.lhs", std::string("\0\1\2", 3));
  Put("empty", "");
  Put("block", std::string(512, 'b'));
  Put(deep, big);
  ASSERT_EQ(Unpack(Pack()), 0);
  EXPECT_EQ(Get("recording/snapshot-000001.lhs"), std::string("\0\1\2", 3));
  EXPECT_EQ(Get("recording/empty"), "");
  EXPECT_EQ(Get("recording/block"), std::string(512, 'b'));
  EXPECT_EQ(Get(fs::path("recording") / deep), big);
  EXPECT_EQ(fs::status(root_ / "out/recording/block").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ArchiveTest, LinksAndFifosAreLeftOut) {
  Put("file", "x");
  fs::create_symlink("/etc/passwd", root_ / "in/link");
  ASSERT_EQ(mkfifo((root_ / "in/fifo").c_str(), 0600), 0);
  ASSERT_EQ(Unpack(Pack()), 0);
  EXPECT_EQ(Get("recording/file"), "x");
  EXPECT_FALSE(fs::exists(root_ / "out/recording/link"));
  EXPECT_FALSE(fs::exists(root_ / "out/recording/fifo"));
}

TEST_F(ArchiveTest, NamesThatDoNotFitAreAnError) {
  Put(std::string(200, 'n'), "x");
  std::ostringstream out;
  ArchiveWriter archive(out);
  Status added = archive.AddDirectory(root_ / "in", "recording");
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().message.find("the name is too long"), std::string::npos);
}

TEST_F(ArchiveTest, AMissingDirectoryIsAnError) {
  std::ostringstream out;
  ArchiveWriter archive(out);
  EXPECT_FALSE(archive.AddDirectory("/nowhere/recording", "recording"));
}

}  // namespace
}  // namespace leakhunt::viewer
