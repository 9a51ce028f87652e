/* Test-only. docs/fault-points.md, as the code has it. */
import { COMMANDS } from '../simulation/qemu/commands.ts';
import { NOT_KILLED_AT, NOT_SIMULATED, SELDOM_SIMULATED } from './not-passed.ts';
import { type Touch, touchesInCode } from './read-code.ts';

/** What the guest agent is asked besides what QEMU is. */
const AGENT_COMMANDS = [
  'guest-sync-delimited',
  'guest-fsfreeze-status',
  'guest-fsfreeze-freeze',
  'guest-fsfreeze-thaw',
];

export const DOCUMENT = 'docs/fault-points.md';

export const allTouches = (): Touch[] =>
  touchesInCode(new Set([...Object.keys(COMMANDS), 'qmp_capabilities', ...AGENT_COMMANDS]));

const INTRODUCTION = `# Fault points

Every touch of the store, of QEMU, of a file, of a child process and of the network goes through \`World\` and has a name.
On both sides of it stands a fault point, at which somebody who tests may let the program die, fail, wait, or let
somebody else die: \`files.unlink\` has \`files.before-unlink\` (nothing was done yet) and \`files.after-unlink\` (it was done,
and nobody has heard of it). \`libs/world/named.ts\` puts them there. The simulator (\`npm run sim\`) and the kill harness
(\`npm run chaos\`) pass the same ones.

\`hypervisor.\` and \`worker.\` are steps of an operation: a point stands before and after all that a step does. What is
said to a monitor or to a guest agent is called \`say.\` and its command. \`run.LAUNCHER\` is whatever program the operator
has configured to start and to end machines. What callers send and hear by HTTP has no points: a request and an answer
are lost in the simulator between a caller and ledgerd (\`request-lost\`, \`answer-lost\` in \`test/simulation/faults.ts\`).

\`npm run points\` writes this file from the code. \`test/points\` compares it with the code, \`test/simulation\` and
\`test/chaos\` compare the last two columns with what is really passed. Lint keeps everything else away from the machine
(\`test/tidy.test.ts\`).
`;

export function documentOf(touches: readonly Touch[]): string {
  const rows = touches.map(({ name, what, where }) => [
    `\`${name}\``,
    what,
    where.map((path) => `\`${path}\``).join(', '),
    name in NOT_SIMULATED ? 'no' : 'yes',
    name in NOT_KILLED_AT ? 'no' : 'yes',
  ]);
  const table = tableOf([['touch', 'what is touched', 'where', 'simulator', 'kill harness'], ...rows]);
  const why = [
    ...reasons('The simulator does not pass', NOT_SIMULATED),
    ...reasons('Only the long form of the simulator is sure to pass', SELDOM_SIMULATED),
    ...reasons('The kill harness does not pass', NOT_KILLED_AT),
  ];
  const counts = `${touches.length} touches, ${2 * touches.length} points.`;
  return `${[INTRODUCTION, `${counts}\n`, ...table, ...why].join('\n')}\n`;
}

const reasons = (title: string, list: Readonly<Record<string, string>>): string[] =>
  Object.keys(list).length === 0
    ? []
    : ['', `## ${title}`, '', ...Object.entries(list).map(([name, why]) => `- \`${name}\`: ${why}`)];

/** As the formatter would have it. */
function tableOf(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[], pad: string): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, pad)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [
    line(head, ' '),
    line(
      head.map(() => ''),
      '-',
    ),
    ...body.map((row) => line(row, ' ')),
  ];
}
