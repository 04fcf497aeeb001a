// A small profile with everything the formats must carry: inlining, modules with and without names, hostile text.
#pragma once

#include "viewer/export/profile.h"

namespace leakhunt::viewer {

// Three stacks below main: a handler (with two frames inlined at one address), a cache, and code without symbols.
inline Profile SampleProfile() {
  Profile profile;
  profile.process = "service";
  profile.command = {"./service", "--port=80"};
  profile.pid = 42;
  profile.time_ms = 1'700'000'000'123;
  profile.period = 524'288;
  profile.value_types = {{"alloc_objects", "count", "all allocations"},
                         {"alloc_space", "bytes", "all bytes"},
                         {"inuse_objects", "count", "live blocks"},
                         {"inuse_space", "bytes", "live bytes"}};
  profile.modules = {{"/srv/service", "abcdef0123", 0x555555554000, 0x555555560000, 0x555555554000},
                     {"/usr/lib/libplain.so", "", 0x7ffff7000000, 0x7ffff7010000, 0x7ffff7000000}};
  profile.frames = {
      {"std::vector<int, std::allocator<int> >::push_back", "/usr/include/c++/12/bits/stl_vector.h", 1280, 4, 0, 0x1234, true},
      {"Request::parse(char const*)", "/srv/src/request.cc", 42, 9, 0, 0x1234, true},
      {"handle_request", "/srv/src/server.cc", 77, 3, 0, 0x1234, false},
      {"main", "/srv/src/main.cc", 10, 1, 0, 0x2000, false},
      {"cache;put\n\"</script><!--", "/srv/src/cache.cc", 5, 0, 0, 0x3000, false},
      {"", "", 0, 0, 1, 0x1a2b, false},
      {"", "", 0, 0, kNoProfileModule, 0x7f0000001000, false},
  };
  profile.samples = {
      {{0, 1, 2, 3}, {100, 409'600, 10, 40'960}, {{"kind", "heap"}}},
      {{4, 3}, {7, 7'000, 1, 1'000}, {{"kind", "heap"}, {"scope", "warm, up"}}},
      {{5, 6, 3}, {3, 300, 0, 0}, {{"kind", "mmap"}}},
      {{}, {2, 20, 1, 10}, {}},
  };
  profile.comments = {"sampled every 512 KiB"};
  return profile;
}

}  // namespace leakhunt::viewer
