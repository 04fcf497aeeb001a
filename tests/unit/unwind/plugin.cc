// A small shared object for the tests: loaded, walked through, unloaded. PLUGIN_PAD makes variants of other layout.
extern "C" {

[[gnu::visibility("default")]] void (*plugin_resolving)() = nullptr;

[[gnu::visibility("default"), gnu::noinline]] void plugin_helper(void (*callback)()) {
  volatile char pad[PLUGIN_PAD] = {};
  callback();
  pad[0] = 1;
}

// Through the PLT, so that the first call goes by the lazy resolver.
[[gnu::visibility("default")]] void plugin_call(void (*callback)()) {
  volatile long pad[2] = {1, 2};
  plugin_helper(callback);
  pad[0] = pad[1];
}

static int Answer() { return 42; }

// Runs inside the dynamic linker's lazy resolver.
static int (*ResolveAnswer())() {
  if (plugin_resolving != nullptr) plugin_resolving();
  return Answer;
}

[[gnu::visibility("default"), gnu::ifunc("ResolveAnswer")]] int plugin_answer();

// Calls it with values in all the registers that a callee keeps.
[[gnu::visibility("default")]] int plugin_resolve(int a) {
  int b = a + 1, c = a * 3, d = a - 7, e = a ^ 5, f = a << 2;
  int sum = plugin_answer();
  asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
  return sum + a + b + c + d + e + f;
}
}
