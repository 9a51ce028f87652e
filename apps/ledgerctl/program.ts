import { Command, CommanderError } from 'commander';
import { complaintOf } from './advice.ts';
import { changeCommands } from './commands/change.ts';
import { completionCommand } from './commands/completion.ts';
import { dataCommands } from './commands/data.ts';
import { doctorCommands } from './commands/doctor.ts';
import { logCommands } from './commands/log.ts';
import { operationCommands } from './commands/operations.ts';
import { readCommands } from './commands/read.ts';
import { vmCommands } from './commands/vm.ts';
import { verifyCommand } from './commands/verify.ts';
import { workCommands } from './commands/work.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { exitCodeOf, ownTrouble, problemJson, Trouble } from './problem.ts';
import { screenOf } from './screen.ts';
import { actionsIn, type Does } from './session.ts';
import type { Surroundings } from './surroundings.ts';

const EXIT_CODES = `
Exit codes:
  0 ok   1 error   2 usage   3 refused   4 busy, try again   5 failed and undone   6 unknown, or needs an operator`;

/** How commander ends when it has nothing to complain of: it has shown what was asked for, or what could be. */
const HELPS: ReadonlySet<string> = new Set([
  'commander.help',
  'commander.helpDisplayed',
  'commander.version',
]);

/** Reads the command line and carries it out. Never throws; the exit code tells how it went. */
export async function run(args: readonly string[], around: Surroundings): Promise<ExitCode> {
  const said = { out: '', err: '' };
  let code: ExitCode = EXIT.ok;
  const program = programOf(around, said, (ended) => (code = ended));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && HELPS.has(error.code)) {
      await around.out.write(said.out);
      await around.err.write(said.err);
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    return complain(troubleOf(error, said.err), around, args.includes('--json'));
  }
}

interface Said {
  out: string;
  err: string;
}

/** The commands there are. */
function programOf(around: Surroundings, said: Said, ended: (code: ExitCode) => void): Command {
  const program = new Command('ledgerctl')
    .description('The ledger of the snapshots of QEMU machines, on the command line.')
    .version(around.version, '--version', 'print the version')
    .option('--json', 'print exactly what ledgerd answered; errors as problem+json on the standard error')
    .option('--url <url>', 'where ledgerd is (SNAPLEDGER_URL; http://127.0.0.1:7420)')
    .option('--token <token>', 'who you are (SNAPLEDGER_TOKEN)')
    .option('--ascii', 'draw with ASCII characters')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (said.out += text),
      writeErr: (text) => (said.err += text),
      getOutHelpWidth: () => around.out.columns,
      getErrHelpWidth: () => around.err.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  const does: Does = actionsIn(around, ended);
  vmCommands(program, does);
  workCommands(program, does);
  readCommands(program, does);
  changeCommands(program, does);
  doctorCommands(program, does);
  logCommands(program, does);
  operationCommands(program, does);
  dataCommands(program, does);
  verifyCommand(program, does);
  completionCommand(program, does);
  return program;
}

function troubleOf(error: unknown, said: string): Trouble {
  if (error instanceof Trouble) return error;
  if (error instanceof CommanderError)
    return ownTrouble(
      'usage',
      said
        .replace(/^error: /, '')
        .trim()
        .replaceAll('\n', ' '),
    );
  return ownTrouble('unexpected', error instanceof Error ? (error.stack ?? error.message) : String(error));
}

async function complain(trouble: Trouble, around: Surroundings, isJson: boolean): Promise<ExitCode> {
  const { err } = around;
  const text = isJson ? problemJson(trouble) : complaintOf(trouble, screenOf(err, around));
  await err.write(text);
  return exitCodeOf(trouble.problem);
}
