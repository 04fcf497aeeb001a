// What nearly every recorded call passes through: the functions stand side by side in the library, and so do the words that they
// look at. A program that spends its time in the kernel between two of our calls finds none of it in a near cache, and
// then each line of code or data that is touched costs more than what is done in it.
#pragma once

#define LEAKHUNT_HOT __attribute__((hot))
#define LEAKHUNT_HOT_WORD [[gnu::section("leakhunt_hot")]] constinit
