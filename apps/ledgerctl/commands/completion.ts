import { Argument, type Command } from 'commander';
import { completionFor, SHELLS, type Shell } from '../completion.ts';
import type { Does } from '../session.ts';

/** `completion SHELL`: a script that the shell reads at its start. */
export function completionCommand(program: Command, does: Does): void {
  program
    .command('completion')
    .description('print a completion script: source <(ledgerctl completion bash)')
    .addArgument(new Argument('<SHELL>', 'for which shell').choices(SHELLS))
    .action(does((session, shell: Shell) => session.print(completionFor(shell, program))));
}
