// Real programs, every frame of their allocations' stacks compared with libunwind's: at least 99.99 % of the walks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace {

bool Installed(const std::string& program) {
  return system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

struct Compared {
  uint64_t walks = 0, same = 0, known_differs = 0, frames = 0;
};

// Runs a shell script in which the prefix $RUN puts a program under the comparing preload; sums all processes' counts.
Compared RunCompared(const std::string& command, const std::string& every) {
  std::string out = testing::TempDir() + "/oracle-" + std::to_string(getpid()) + ".txt";
  unlink(out.c_str());
  std::string script = testing::TempDir() + "/oracle-" + std::to_string(getpid()) + ".sh";
  std::ofstream(script) << "RUN='env ORACLE_OUT=" << out << " ORACLE_EVERY=" << every
                        << " LD_PRELOAD=" << ORACLE_PRELOAD << "'\ncd " << testing::TempDir() << "\n"
                        << command << "\n";
  EXPECT_EQ(system(("timeout 120 sh " + script + " </dev/null").c_str()), 0) << command;
  unlink(script.c_str());
  Compared sum;
  std::ifstream file(out);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    Compared one;
    words >> name >> one.walks >> name >> one.same >> name >> one.known_differs >> name >> one.frames;
    sum.walks += one.walks, sum.same += one.same, sum.known_differs += one.known_differs, sum.frames += one.frames;
    printf("%s\n", line.c_str());
  }
  unlink(out.c_str());
  return sum;
}

void ExpectRight(const Compared& compared, uint64_t at_least) {
  EXPECT_GE(compared.walks, at_least);
  EXPECT_EQ(compared.known_differs, 0u);
  EXPECT_GE(static_cast<double>(compared.same), 0.9999 * static_cast<double>(compared.walks))
      << compared.walks - compared.same << " of " << compared.walks << " walks differ";
}

TEST(Programs, Python) {
  if (!Installed("/usr/bin/python3")) GTEST_SKIP() << "python3 is not installed";
  ExpectRight(
      RunCompared(
          "$RUN PYTHONMALLOC=malloc /usr/bin/python3 -c 'import json,re; "
          "[json.loads(json.dumps({str(i):[i,None,[1.5]*5]})) for i in range(2000)]; re.compile(r\"(a|b)+c*\")'",
          "7"),
      5000);
}

TEST(Programs, Sqlite) {
  if (!Installed("sqlite3")) GTEST_SKIP() << "sqlite3 is not installed";
  ExpectRight(
      RunCompared("$RUN sqlite3 :memory: 'create table t(a,b); with recursive c(x) as (select 1 union all select x+1 "
                  "from c where x<20000) insert into t select x, hex(randomblob(20)) from c; create index i on t(b); "
                  "select count(*) from t where b > 5;'",
                  "2"),
      5000);
}

TEST(Programs, CompilerOfCxx) {
  if (!Installed("g++")) GTEST_SKIP() << "g++ is not installed";
  ExpectRight(
      RunCompared("echo '#include <map>\n#include <string>\nstd::map<std::string,int> m; int f(){return m[\"a\"];}' "
                  "> oracle-in.cc; $RUN g++ -O1 -c oracle-in.cc -o oracle-in.o",
                  "40"),
      5000);
}

TEST(Programs, Redis) {
  if (!Installed("redis-server") || !Installed("redis-benchmark")) GTEST_SKIP() << "redis is not installed";
  ExpectRight(
      RunCompared("S=oracle-redis.sock; $RUN redis-server --port 0 --unixsocket $PWD/$S --save '' > /dev/null & "
                  "for i in 1 2 3 4 5 6 7 8 9; do redis-cli -s $S ping 2>/dev/null | grep -q PONG && break; sleep 0.3; "
                  "done; redis-benchmark -s $S -n 2000 -q -t set,get,lpush,zadd,hset > /dev/null; "
                  "redis-cli -s $S shutdown nosave; wait",
                  "1"),
      20000);
}

TEST(Programs, Nginx) {
  if (!Installed("nginx")) GTEST_SKIP() << "nginx is not installed";
  ExpectRight(
      RunCompared("$RUN nginx -t -p $PWD -g 'pid oracle-nginx.pid; error_log stderr;' 2>/dev/null || true", "1"), 100);
}

TEST(Programs, Node) {
  if (!Installed("node")) GTEST_SKIP() << "node is not installed";
  ExpectRight(RunCompared("$RUN node -e 'let a=[];for(let i=0;i<20000;i++){a.push(Buffer.alloc(100+i%50));"
                          "if(a.length>100)a=[]}' 2>/dev/null",
                          "10"),
              5000);
}

}  // namespace
