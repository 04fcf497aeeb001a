// What nearly every recorded call passes through: the functions stand side by side in the library, and so do the words that they
// look at. A program that spends its time in the kernel between two of our calls finds none of it in a near cache, and
// then each line of code or data that is touched costs more than what is done in it.
#pragma once

#define LEAKHUNT_HOT __attribute__((hot))
// What they leave their way for: calls of it stand behind the function, not in it.
#define LEAKHUNT_ASIDE __attribute__((noinline, cold))
#define LEAKHUNT_HOT_WORD [[gnu::section("leakhunt_hot.words")]] constinit
#define LEAKHUNT_HOT_FUNCTION [[gnu::section("leakhunt_hot.functions")]] constinit
