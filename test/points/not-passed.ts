/* Test-only. Fault points that somebody does not pass, and why. Everybody passes all others, which tests check. */

/** Touches that no simulated world makes. */
export const NOT_SIMULATED: Readonly<Record<string, string>> = {
  'files.makeDirectory': 'ledgerd makes its directories when it starts; a simulated file needs none',
};

/** Touches so seldom made that the simulated worlds of the short test need not have them: the long form does. */
export const SELDOM_SIMULATED: Readonly<Record<string, string>> = {
  'run.qemu-img-compare':
    'when whoever dies has left an image of which nobody can tell whether it was copied',
  'say.block-stream': 'when a snapshot is removed below which others stand, on a machine that is on',
  'say.guest-fsfreeze-freeze': 'one world in 30 has a guest agent and a caller who wants it asked',
  'say.job-cancel': 'when somebody loses patience with a copy',
  'say.migrate_cancel': 'when a stream of memory is called off half-way',
};

/** Touches that no request of the kill harness makes. */
export const NOT_KILLED_AT: Readonly<Record<string, string>> = {};
