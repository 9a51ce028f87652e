/* The connection breaks off at every character of an exchange, once in each direction. */
import { realWorld } from '#world';
import { expect, test } from 'vitest';
import { type FakeHandler, fakeMonitor, fakeRefusal } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import type { FakeDeath } from './fake/talk.ts';
import { openMonitor } from './open.ts';
import type { TranscriptEntry } from './transcript.ts';

const { turn } = realWorld();

/** A QEMU that is asked, refuses, and runs a job which fails or not. Says which commands it really ran. */
function qemu(death: FakeDeath | null) {
  const ran = new Set<string>();
  const run =
    (name: string, handler: FakeHandler): FakeHandler =>
    (args, call) => {
      ran.add(name);
      return handler(args, call);
    };
  const job = {
    id: 'j-1',
    type: 'snapshot-save',
    status: 'concluded',
    'current-progress': 1,
    'total-progress': 1,
  };
  const changed = { id: 'j-1', status: 'concluded' };
  const fake = fakeMonitor({
    ...(death && { death }),
    on: {
      stop: run('stop', (_, call) => call.emit('STOP')),
      transaction: run('transaction', () => fakeRefusal('Name is empty')),
      'snapshot-save': run('snapshot-save', (_, call) => {
        call.reply({});
        call.emit('JOB_STATUS_CHANGE', changed);
      }),
      'query-jobs': () => [job],
      'job-dismiss': () => ({}),
    },
  });
  return { fake, ran };
}

interface Told {
  readonly outcomes: readonly string[];
  readonly ran: ReadonlySet<string>;
  readonly charactersOf: Readonly<Record<FakeDeath['of'], number>>;
}

/** The four steps of one exchange, each with its outcome; the later ones are tried even when the session is over. */
async function talk(death: FakeDeath | null): Promise<Told> {
  const { fake, ran } = qemu(death);
  const charactersOf = { sent: 0, received: 0 }; // As the fake sees it: what it sent, what it received.
  const transcript = ({ direction, text }: TranscriptEntry): void => {
    if (direction === 'sent') charactersOf.received += `${text}\n`.length;
    else charactersOf.sent += `${text}\r\n`.length;
  };
  const outcomes: string[] = [];
  try {
    const monitor = await openMonitor({ clock: handClock(), connect: fake.connect }, '/qmp', { transcript });
    outcomes.push('done');
    outcomes.push(await outcomeOf(monitor.execute('stop')));
    outcomes.push(await outcomeOf(monitor.execute('transaction')));
    outcomes.push(await outcomeOf(monitor.runJob('snapshot-save', { 'job-id': 'j-1' })));
  } catch (error) {
    outcomes.push(await outcomeOf(Promise.reject(error)));
  }
  return { outcomes, ran, charactersOf };
}

/** The clock stands still here: an outcome that needs a timeout is a hang. */
const withoutHanging = <T>(work: Promise<T>): Promise<T | 'hangs'> =>
  Promise.race([work, turns(20).then(() => 'hangs' as const)]);

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn();
}

const COMMANDS = ['open', 'stop', 'transaction', 'snapshot-save'];
const UNHURT = ['done', 'done {}', 'refused: Name is empty', 'done undefined'];

test.each(['sent', 'received'] as const)(
  'a connection reset at any character that QEMU %s ends in done, refused or unknown, never in a hang',
  async (of) => {
    const { outcomes, charactersOf } = await talk(null);
    expect(outcomes).toEqual(UNHURT);
    const seen = new Set<string>();
    for (let offset = 0; offset < charactersOf[of]; offset++) {
      const told = await withoutHanging(talk({ of, afterCharacters: offset }));
      if (told === 'hangs') throw new Error(`a reset after ${offset} characters hangs`);
      for (const [step, outcome] of told.outcomes.entries()) {
        const command = COMMANDS[step] ?? '';
        const allowed = [UNHURT[step], 'unknown: closed', 'nothing sent: closed'];
        expect(allowed, `${command}, reset after ${offset} characters`).toContain(outcome);
        if (outcome.startsWith('nothing sent'))
          expect(told.ran, 'said unsent, but ran').not.toContain(command);
        if (step > 0 && outcome === UNHURT[step])
          expect(told.ran, 'said done, but never ran').toContain(command);
        seen.add(`${command}: ${outcome}`);
      }
    }
    const unknown = COMMANDS.slice(1).map((command) => `${command}: unknown: closed`);
    expect([...seen]).toEqual(expect.arrayContaining(['open: nothing sent: closed', ...unknown]));
  },
);
