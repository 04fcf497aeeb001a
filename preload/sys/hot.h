// What nearly every recorded call passes through: the functions stand side by side in the library, and so do the words that they
// look at. A program that spends its time in the kernel between two of our calls finds none of it in a near cache, and
// then each line of code or data that is touched costs more than what is done in it.
#pragma once

#define LEAKHUNT_HOT __attribute__((hot, aligned(64)))
// Before the first of them: those that servers call most, malloc to open64, lie in one page, and not at its begin. There a request's
// blocks cost 20 ns, at 0x380 17, at 0x400 15 (+-1; one processor's figures): lines at the begin of a page, it seems, are evicted
// sooner, for they share their place in a near cache with all else that is aligned to pages.
#define LEAKHUNT_HOT_PAGE_BEGINS asm(".pushsection .text.hot, \"ax\", @progbits\n.p2align 12\n.zero 0x400\n.popsection")
// What they leave their way for: calls of it stand behind the function, not in it.
#define LEAKHUNT_ASIDE __attribute__((noinline, cold))
#define LEAKHUNT_HOT_WORD [[gnu::section("leakhunt_hot.words")]] constinit
#define LEAKHUNT_HOT_FUNCTION(name) [[gnu::section("leakhunt_hot.functions." #name)]] constinit
#define LEAKHUNT_HOT_ALLOCATOR [[gnu::section("leakhunt_hot.allocator")]] constinit
// For the declaration of what they look at: it is in this library. Not told so, the compiler reads the address from a table
// first (-fvisibility=hidden says it of definitions alone).
#define LEAKHUNT_HIDDEN [[gnu::visibility("hidden")]]
