// What one user, and all strangers together, may hold; root and the collector's own user always have room.
#include "collector/ingest/user_shares.h"

#include <gtest/gtest.h>

#include "collector/ingest/allowance.h"

namespace leakhunt::ingest {
namespace {

constexpr uid_t kStranger = 4'000'000, kOther = 4'000'001, kThird = 4'000'002;

size_t Fill(UserShares* shares, uid_t user) {
  size_t taken = 0;
  for (; shares->HasRoom(user); ++taken) shares->Take(user);
  return taken;
}

TEST(UserShares, OneStrangerTakesHalfAndAllTakeThreeQuarters) {
  UserShares shares(1024);
  EXPECT_EQ(Fill(&shares, kStranger), 512u);
  EXPECT_EQ(Fill(&shares, kOther), 256u);
  EXPECT_EQ(Fill(&shares, kThird), 0u);
  EXPECT_TRUE(shares.HasRoom(0));
  EXPECT_EQ(Fill(&shares, geteuid()), 256u);
  EXPECT_FALSE(shares.HasRoom(0));
}

TEST(UserShares, WhatIsGivenBackMayBeTakenAgain) {
  UserShares shares(8);
  EXPECT_EQ(Fill(&shares, kStranger), 4u);
  shares.GiveBack(kStranger);
  EXPECT_EQ(Fill(&shares, kStranger), 1u);
  for (int i = 0; i < 4; ++i) shares.GiveBack(kStranger);
  shares.GiveBack(kStranger);  // one more than it held
  EXPECT_EQ(shares.Held(), 0u);
  EXPECT_EQ(Fill(&shares, kStranger), 4u);
}

TEST(UserShares, TheGreediestIsOfTheSameGroup) {
  UserShares shares(1024);
  for (int i = 0; i < 3; ++i) shares.Take(kStranger);
  for (int i = 0; i < 5; ++i) shares.Take(kOther);
  for (int i = 0; i < 9; ++i) shares.Take(0);
  EXPECT_EQ(shares.GreediestLike(kThird), kOther);
  EXPECT_TRUE(IsFavoured(shares.GreediestLike(geteuid())));
}

TEST(UserAllowances, EachUserHasItsOwn) {
  UserAllowances allowances(2, 1000);
  EXPECT_TRUE(allowances.Take(kStranger, 5000));
  EXPECT_TRUE(allowances.Take(kStranger, 5000));
  EXPECT_FALSE(allowances.Take(kStranger, 5000));
  EXPECT_TRUE(allowances.Take(kOther, 5000));
  EXPECT_TRUE(allowances.Take(kStranger, 6000));
}

}  // namespace
}  // namespace leakhunt::ingest
