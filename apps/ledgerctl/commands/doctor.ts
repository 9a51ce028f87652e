import type { Command } from 'commander';
import type { Drift, DriftKind, Finding, Orphan } from '#ledger';
import type { SnapshotView } from '#views';
import type { ShownOperation, ShownVm, Vms } from '../answers.ts';
import { type Answer, type Query, route } from '../api.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { findVm } from '../find.ts';
import { finish } from '../outcome.ts';
import { allPages } from '../pages.ts';
import { ownTrouble, problemJson, Trouble } from '../problem.ts';
import { instant, type Screen } from '../screen.ts';
import type { Does, Session } from '../session.ts';
import { guarded } from '../words.ts';

/** What a look at a whole VM has found. */
type ShownDrift = Drift & { readonly vmId: string };

/** What would be removed, and what was. */
interface Repair {
  readonly plan: { readonly hash: string; readonly commands: readonly string[] };
  readonly removed: readonly Orphan[];
  readonly left: readonly (Orphan & { readonly why: string })[];
}

interface Adoption {
  readonly snapshots: readonly SnapshotView[];
  readonly left: readonly Finding[];
}

/** What a person can do about it: a new kind without advice does not compile. */
const ADVICE: Readonly<Record<DriftKind, string>> = {
  missing: 'put its files back; or let the ledger forget it: ledgerctl doctor VM --repair --yes',
  partial: 'put back what is missing, or delete the snapshot: ledgerctl delete VM SNAP --merge',
  orphan: 'have it removed, when nobody needs it: ledgerctl doctor VM --repair --yes',
  foreign: 'make a snapshot of it: ledgerctl adopt VM TAG; or leave it as it is',
  duplicate: 'remove one of them by hand while the machine is off; qemu-img snapshot -d TAG takes the first',
  renamed: 'take the new one off by hand when nobody needs it, then delete the snapshot',
  'wrong-chain':
    'power it off and start it as ledgerctl vm launch VM says; ledgerctl release VM NOTE lifts it',
  'wrong-current':
    'load the snapshot that it should go on from; or power it off and start it as ledgerctl vm launch VM says',
  'config-changed': 'give the machine that disk again, as the finding says; no snapshot is lost by it',
};

/** What looks for differences between the disks and the ledger, and what can be done about them. */
export function doctorCommands(program: Command, does: Does): void {
  program
    .command('doctor')
    .description(
      'look whether the disks are what the ledger believes, and say what to do; 6 when they are not',
    )
    .argument('[VM]', 'name or id; all of them when absent')
    .option(
      '--repair',
      'forget snapshots that are on no disk any more, and remove what is left of those that are gone; says which, and does nothing',
    )
    .option('--yes', 'with --repair: do it')
    .action(does(doctor));
  guarded(program.command('adopt'))
    .description('make snapshots of foreign ones that are on every disk; they keep their tags')
    .argument('<VM>', 'name or id')
    .argument('[TAGS...]', 'their tags; all that can be adopted when absent')
    .action(does(adopt));
}

/** `vm reconcile`: the same look, for scripts that only want it recorded. */
export function reconcileCommand(vm: Command, does: Does): void {
  guarded(vm.command('reconcile'))
    .description('look whether the disks are what the ledger believes, and record what is not')
    .argument('<VM>', 'name or id')
    .action(
      does(async (session, word: string) => {
        await show(session, word, await look(session, await findVm(session, word)));
      }),
    );
}

interface Patient {
  readonly id: string;
  readonly name: string;
}

interface DoctorOptions {
  readonly repair?: boolean;
  readonly yes?: boolean;
}

async function doctor(session: Session, word: string | undefined, options: DoctorOptions): Promise<ExitCode> {
  if (options.yes && !options.repair) throw ownTrouble('usage', 'say --repair with --yes');
  const patients =
    word === undefined ? await everyVm(session) : [{ id: await findVm(session, word), name: word }];
  let isClean = true;
  for (const { id, name } of patients) {
    const isWell = await orTold(session, name, () => treat(session, { id, name }, options));
    isClean &&= isWell === true;
  }
  return isClean ? EXIT.ok : EXIT.unknown;
}

/** Whether nothing is wrong any more: what was mended is looked at once more. */
async function treat(session: Session, { id, name }: Patient, options: DoctorOptions): Promise<boolean> {
  const { findings } = await lookAndShow(session, id, name);
  if (findings.length === 0) return true;
  if (!options.repair) return false;
  const isMeant = options.yes === true;
  for (const finding of findings) await orTold(session, name, () => forget(session, id, finding, isMeant));
  if (findings.some(({ kind }) => kind === 'orphan'))
    await orTold(session, name, () => sweep(session, id, isMeant));
  if (!isMeant) return false;
  return (await lookAndShow(session, id, name)).findings.length === 0;
}

async function everyVm({ api }: Session): Promise<readonly ShownVm[]> {
  const { body } = await allPages<Vms>(api, route('vms'), 'vms');
  return body.vms;
}

const look = ({ api, guards }: Session, vmId: string): Promise<Answer<ShownDrift>> =>
  api.command<ShownDrift>(
    { method: 'POST', path: route('vms', vmId, 'reconcile'), body: {}, ...guards },
    'findings',
  );

async function lookAndShow(session: Session, vmId: string, name: string): Promise<ShownDrift> {
  const answer = await look(session, vmId);
  await show(session, name, answer);
  return answer.body;
}

/** One machine that cannot be looked at, or mended, keeps nobody from looking at the others. */
async function orTold<T>(session: Session, name: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    const { text } = session.screen;
    const { reason, detail } = error.problem;
    if (session.isJson) await session.around.err.write(problemJson(error));
    else await session.print(`${text(name)}: ${text(`${reason}: ${detail}`)}\n`);
    return null;
  }
}

async function show(session: Session, name: string, answer: Answer<ShownDrift>): Promise<void> {
  const { rfc3339 } = await import('#world');
  const timeOf = (dateMs: number): string => instant(rfc3339(dateMs));
  await session.show(answer, ({ findings, stopped, unlisted }) => {
    const { text, paint } = session.screen;
    if (findings.length === 0) return `${text(name)}: ${paint('green', 'nothing is wrong')}\n`;
    const head = `${text(name)}: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}\n`;
    const stop = stopped ? `  ${paint('red', 'the machine was stopped')}\n` : '';
    const rest = unlisted > 0 ? `  and ${unlisted} more, which are listed when some of these are gone\n` : '';
    return (
      head + stop + findings.map((finding) => findingText(finding, timeOf, session.screen)).join('') + rest
    );
  });
}

function findingText(
  { kind, message, evidence }: Finding,
  timeOf: (dateMs: number) => string,
  { text, paint }: Screen,
): string {
  const seen = evidence.map(({ device, file, tag, nativeId, date, vmStateSizeBytes }) => {
    const memory = vmStateSizeBytes > 0 ? `, ${vmStateSizeBytes} bytes of memory` : '';
    return `    seen: ${text(tag)} on ${text(device)} (${text(file)}): id ${text(nativeId)}, ${timeOf(date)}${memory}\n`;
  });
  return `  ${paint('red', text(kind))}: ${text(message)}\n${seen.join('')}    next: ${ADVICE[kind]}\n`;
}

/** What is on no disk has nothing to lose but its entry: its children get its parent. */
async function forget(
  session: Session,
  vmId: string,
  { kind, snapshotId, message }: Finding,
  isMeant: boolean,
): Promise<void> {
  const { text } = session.screen;
  if (kind !== 'missing' || snapshotId === undefined) return;
  if (!isMeant)
    return session.remark(`would forget ${text(snapshotId)}: ${text(message)}; say --yes to do it`);
  const path = route('vms', vmId, 'snapshots', snapshotId);
  const request = { method: 'DELETE' as const, path, query: { strategy: 'merge' } };
  const accepted = await session.api.command<ShownOperation>(request, 'outcome');
  await finish(session, accepted, snapshotId, {});
}

/** What is left of snapshots that are gone is removed as ledgerd has planned it, and nothing else. */
async function sweep(session: Session, vmId: string, isMeant: boolean): Promise<void> {
  const { text } = session.screen;
  const path = route('vms', vmId, 'repair');
  const ask = (body: object, query: Query): Promise<Answer<Repair>> =>
    session.api.command<Repair>({ method: 'POST', path, body, query }, 'plan');
  const { plan } = (await ask({}, { validateOnly: 'true' })).body;
  if (!isMeant) {
    for (const words of plan.commands) await session.remark(`would ${text(words)}; say --yes to do it`);
    return;
  }
  if (plan.commands.length === 0) return;
  await session.show(await ask({ planHash: plan.hash }, {}), ({ removed, left }) =>
    [
      ...removed.map(({ file, tag }) => `removed ${text(tag ?? file)}\n`),
      ...left.map(({ file, tag, why }) => `not removed: ${text(tag ?? file)}: ${text(why)}\n`),
    ].join(''),
  );
}

async function adopt(session: Session, word: string, tags: readonly string[]): Promise<void> {
  const vmId = await findVm(session, word);
  const names = tags.length === 0 ? {} : { names: tags };
  const answer = await session.api.command<Adoption>(
    { method: 'POST', path: route('vms', vmId, 'adopt'), body: names, ...session.guards },
    'snapshots',
  );
  await session.show(answer, ({ snapshots, left }) => {
    const { text } = session.screen;
    const done = snapshots.map(({ id, name }) => `adopted ${text(name)} (${text(id)})\n`);
    const others = left.map(({ message }) => `not adopted: ${text(message)}\n`);
    return [...done, ...others].join('') || 'there was nothing to adopt\n';
  });
}
