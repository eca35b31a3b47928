/* SPDX-License-Identifier: MIT */
/*
 * Tasks that throw and catch on their own stacks, and fill in a vector.
 */
#include <rota/rota.h>

#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <vector>

struct piece {
	std::vector<int> *into;
	int number;
};

static void put(const piece &piece)
{
	if (piece.number % 2)
		throw std::runtime_error("odd");
	piece.into->at(piece.number) = piece.number;
}

static int run(void *value)
{
	const piece &mine = *static_cast<piece *>(value);

	rota_yield();
	try {
		put(mine);
	} catch (const std::runtime_error &) {
		mine.into->at(mine.number) = -1;
	}
	return 0;
}

static int all(void *arg)
{
	auto into = static_cast<std::vector<int> *>(arg);
	rota_group group;
	int error = 0;

	rota_group_open(&group, nullptr);
	for (int i = 0; !error && i < int(into->size()); i++)
		error = rota_go(&group, run, piece{ into, i });
	int failure = rota_group_wait(&group);
	return error ? error : failure;
}

int main()
{
	std::vector<int> numbers(8);
	int error = rota_run(nullptr, all, &numbers);
	int sum = std::accumulate(numbers.begin(), numbers.end(), 0);

	std::printf("rota_run returned %d, the sum is %d\n", error, sum);
	return error || sum != 0 + 2 + 4 + 6 - 4;
}
