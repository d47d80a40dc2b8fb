// A clock that only the tests turn.

import { mock } from "node:test";

const STEP_MS = 50;

export function stopTheClock() {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });
}

/** Lets everything happen that needs no time. */
export const now = () => new Promise((resolve) => setImmediate(resolve));

/** Lets time pass, and what happens in it happen. */
export async function pass(milliseconds) {
  await now();
  for (let left = milliseconds; left > 0; left -= STEP_MS) {
    mock.timers.tick(Math.min(STEP_MS, left));
    await now();
  }
}
