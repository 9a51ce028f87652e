import { resolve } from 'node:path';
import type { Command } from 'commander';
import { carriedOut, type DataOptions, placesIn, requireLog, withData } from '../data-directory.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { phaseOf, readingOf } from '../progress.ts';
import { safeJson, type Screen } from '../screen.ts';
import type { Does, Session } from '../session.ts';
import { type Check, Report } from '../verify/report.ts';
import { openViewsCheck } from '../verify/views.ts';

interface VerifyOptions extends DataOptions {
  readonly disks: boolean;
  readonly host?: string;
}

/** The auditor's word: what must always be true, held against what is there. Changes nothing. */
export function verifyCommand(program: Command, does: Does): void {
  withData(program.command('verify'))
    .description('check the log, the views and the disks against what must always be true; changes nothing')
    .argument('[FILE]', 'a backup of the log, instead of a data directory: it alone is checked')
    .option('--host <name>', 'the host whose VMs have their disks here (SNAPLEDGER_HOST; what it is called)')
    .option('--no-disks', 'leave the images of the machines alone')
    .action(does(verify));
}

async function verify(session: Session, word: string | undefined, options: VerifyOptions): Promise<ExitCode> {
  const places = placesIn(session, options);
  const file = word === undefined ? places.log : resolve(session.around.cwd, word);
  await requireLog(session, file);
  const world = await session.around.world();
  const { auditLog } = await import('../verify/log.ts');
  const { checkDisks } = await import('../verify/disks.ts');
  const { env, hostname } = session.around;
  const host = options.host ?? env['SNAPLEDGER_HOST'] ?? hostname;
  const areDisksMeant = options.disks && word === undefined; // They have gone on since a backup was made.
  const report = new Report();
  const [read, show] = [readingOf(session), phaseOf(session)];
  await session.remark(`reading ${file}`);
  const views = word === undefined ? await openViewsCheck(world, places.views, report) : null;
  const { events, streams } = await carriedOut(session, async () => {
    const audited = await auditLog({ file, report, views, onProgress: read })
      .then((all) => {
        views?.compareIn(report, all);
        return all;
      })
      .finally(() => views?.close()); // A ledgerd that starts needs them, and the disks take long.
    if (areDisksMeant) await checkDisks({ world, report, audited, file, host, onProgress: show });
    return audited;
  }).finally(() => Promise.all([read(null), show(null)]));
  const checks = report.checks();
  const breachesCount = checks.reduce((sum, check) => sum + check.breachesCount, 0);
  if (session.isJson)
    await session.print(`${safeJson(JSON.stringify({ file, events, streams, breachesCount, checks }))}\n`);
  else await session.print(drawn(session.screen, checks, breachesCount));
  return breachesCount === 0 ? EXIT.ok : EXIT.unknown;
}

function drawn(screen: Screen, checks: readonly Check[], breachesCount: number): string {
  const lines = checks.flatMap((check) => linesOf(screen, check));
  const found = breachesCount === 0 ? 'nothing is wrong' : `${breachesCount} things are wrong`;
  return `${lines.join('\n')}\n${screen.paint('bold', found)}\n`;
}

function linesOf(
  screen: Screen,
  { invariant, holds, looked, skipped, skippedCount, breaches, breachesCount }: Check,
): string[] {
  const state = breachesCount > 0 ? 'WRONG' : looked === '' ? '-' : 'ok';
  return [
    `${state.padEnd(6)}${invariant.padEnd(5)}${holds}${looked === '' ? '' : ` (${looked})`}`,
    ...[...breaches, ...andMore(breachesCount - breaches.length)].map(
      (words) => `${INDENT}${screen.text(words)}`,
    ),
    ...[...skipped, ...andMore(skippedCount - skipped.length)].map(
      (why) => `${INDENT}not looked at: ${screen.text(why)}`,
    ),
  ];
}

const andMore = (count: number): string[] => (count > 0 ? [`and ${count} more`] : []);

const INDENT = ' '.repeat(11);
