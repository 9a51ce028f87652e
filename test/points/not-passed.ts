/* Test-only. Fault points that somebody does not pass, and why. Everybody passes all others, which tests check. */

/** Touches that no simulated world makes. */
export const NOT_SIMULATED: Readonly<Record<string, string>> = {};

/** Touches that no request of the kill harness makes. */
export const NOT_KILLED_AT: Readonly<Record<string, string>> = {};
